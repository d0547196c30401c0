"""What an inspection found, as one screen of text and as JSON."""

from collections import Counter
from typing import TYPE_CHECKING, Any

from preceptor.groupings import units_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from preceptor.data.drift import Drift
    from preceptor.data.inspect import Inspection
    from preceptor.measures.drift import Contrast

_MOST = 20  # lines of a list
_UNLIKE = 6  # lines on what looks unlike the others
_EXAMPLES = 3  # names of files


def as_json(found: "Inspection") -> dict[str, Any]:
    """Everything that was found, in plain values."""
    from preceptor.data.next_step import next_command

    account = found.account
    return {
        "given": found.given,
        "path": found.path,
        "source": found.source,
        "options": found.options,
        "reasons": list(found.reasons),
        "channels": found.channels,
        "task": found.task,
        "classes": list(found.classes),
        "counts": {str(name): {str(key): int(n) for key, n in row.items()} for name, row in found.counts.iterrows()},
        "grouping": found.grouping,
        "groups": None if found.groups is None else {str(name): int(n) for name, n in found.groups.items()},
        "group_count": found.group_count,
        "group_sizes": found.group_sizes,
        "sizes": [{"height": height, "width": width, "images": n} for (height, width), n in found.sizes.items()],
        "values": found.values,
        "kinds": found.kinds,
        "grey": found.grey,
        "foreground": found.foreground,
        "class_shares": {
            name: {"masks": masks, "share": share} for name, (masks, share) in found.class_shares.items()
        },
        "damaged": found.damaged,
        "odd": found.odd,
        "equal": [
            {"ids": equal.ids, "classes": equal.classes, "groups": equal.groups, "parts": equal.parts,
             "conflicting": equal.conflicting}
            for equal in found.equal
        ],
        "files": None if account is None else {
            "folder": account.folder,
            "total": account.total,
            "images": account.images,
            "masks": account.masks,
            "read": account.read,
            "unused": {one.reason: one.places for one in account.unused},
            "outside": account.outside,
        },
        "split": found.splitting,
        "sites": found.sites,
        "drift": _drift_as_json(found.drift),
        "notes": list(found.notes),
        "next": next_command(found),
    }  # fmt: skip


def render(found: "Inspection", console: "Console") -> None:
    """Print what was found, plainly: the same text on a terminal and in a file."""
    from rich.table import Table

    from preceptor.data.next_step import next_command

    def line(name: str, text: str) -> None:
        console.print(f"{name:<11}{text}")

    line("data", str(found.path or "generated"))
    line("source", found.source + "".join(f"\n{'':<11}  {name}: {_plain(v)}" for name, v in found.options.items()))
    for reason in found.reasons:
        line("", reason)
    line("task", f"{found.task}, {len(found.classes)} classes")
    total = int(found.counts.to_numpy().sum())
    line("images", f"{total}, {len(found.damaged)} damaged")
    line("sizes", _sizes(found.sizes))
    line("pixels", _pixels(found))
    if found.foreground is not None:
        low, middle, high, empty = found.foreground
        line("masks", f"foreground {low:.1%} to {high:.1%} of an image, median {middle:.1%}; {empty} empty")
    for name, (masks, share) in found.class_shares.items():
        line("", f"{name}: in {masks} masks, {share:.1%} of their pixels")
    line("groups", _groups(found))
    if found.sites:
        line("sites", _sites(found.sites, total))
    if found.account is not None:
        line("files", _files(found))

    console.print()
    table = Table("class" if found.task == "classification" else "", box=None, pad_edge=False)
    for name in [*found.counts.columns, *(["groups"] if found.groups is not None else [])]:
        table.add_column(name, justify="right")
    groups = [[]] * len(found.counts) if found.groups is None else [[str(count)] for count in found.groups]
    for name, counts, held in zip(found.counts.index, found.counts.to_numpy(), groups, strict=True):
        table.add_row(str(name), *(str(count) for count in counts), *held)
    console.print(table)

    run = [found.splitting, *(["It stops at the damaged images: mend or remove them first."] if found.damaged else [])]
    blocks = (
        ("damaged", _damaged(found)),
        ("odd images", _odd(found)),
        ("equal images", _equal(found)),
        ("not used", _unused(found)),
        ("notes", list(found.notes)),
        ("a run would split", run),
        ("look unlike the others, by standard deviations of single images", _unlike(found.drift)),
        (f"next{_before(found)}", [next_command(found)]),
    )
    for title, lines in blocks:
        if lines:
            console.print(f"\n{title}")
            for text in lines:
                console.print(f"  {text}")


def _drift_as_json(drift: "Drift | None") -> dict[str, Any] | None:
    if drift is None:
        return None

    def plain(contrasts: "Sequence[Contrast]") -> list[dict[str, Any]]:
        return [
            {
                "name": one.name,
                "images": one.images,
                "differences": dict(zip(drift.looks, map(float, one.differences), strict=True)),
                "named": [look for look, is_named in zip(drift.looks, one.named, strict=True) if is_named],
            }
            for one in contrasts
        ]

    return {
        "images": drift.images,
        "parts": plain(drift.parts),
        "sites": plain(drift.sites),
        "groups": plain(drift.groups),
    }


def _unlike(drift: "Drift | None") -> list[str]:
    """What looks otherwise than it should, by no chance; nothing where all is alike."""
    if drift is None:
        return []
    kinds = (
        ("the {} part, against training", drift.parts),
        ("site {}, against all others", drift.sites),
        ("group {}, against all others", drift.groups),
    )
    lines = [
        f"{what.format(one.name)}: {', '.join(_gaps(drift.looks, one))}"
        for what, contrasts in kinds
        for one in contrasts
        if one.named.any()
    ]
    return lines[:_UNLIKE] + ([f"and {len(lines) - _UNLIKE} more (--json)"] if len(lines) > _UNLIKE else [])


def _gaps(looks: tuple[str, ...], one: "Contrast") -> list[str]:
    return [
        f"{look} {gap:+.2f}" for look, gap, is_named in zip(looks, one.differences, one.named, strict=True) if is_named
    ]


def _sites(sites: dict[str, int], images: int) -> str:
    shown = ", ".join(f"{name} ({count})" for name, count in list(sites.items())[:8])
    more = f", and {len(sites) - 8} more" if len(sites) > 8 else ""
    unknown = images - sum(sites.values())
    return f"{len(sites)}: {shown}{more}{f'; not known of {unknown}' if unknown else ''}"


def _before(found: "Inspection") -> str:
    """What has to be done before a run can start."""
    is_ready = not found.damaged and not found.splitting.startswith("cannot")
    return "" if is_ready else ", once what is said above is settled"


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _sizes(sizes: dict[tuple[int, int], int]) -> str:
    shown = ", ".join(f"{height} x {width} ({count})" for (height, width), count in list(sizes.items())[:4])
    more = f", and {len(sizes) - 4} more sizes" if len(sizes) > 4 else ""
    return f"height x width {shown}{more}" if sizes else "none could be read"


def _pixels(found: "Inspection") -> str:
    if found.values is None:
        return "none could be read"
    kinds = ", ".join(f"{kind} ({count})" for kind, count in list(found.kinds.items())[:4])
    grey = f"; {found.grey} grey, as all their channels are equal" if found.grey else ""
    low, high = found.values
    return f"{kinds}; a run sees values from {low:g} to {high:g}{grey}"


def _groups(found: "Inspection") -> str:
    if found.grouping is None or found.group_sizes is None:
        return "none known: samples of one patient cannot be kept together (see notes)"
    low, middle, high = found.group_sizes
    what = f"by {found.grouping}: {found.group_count} {units_of(found.grouping)}"
    if high == 1:
        return f"{what}, one image each"
    return f"{what}, {low} to {high} images each, median {middle:g}"


def _files(found: "Inspection") -> str:
    account = found.account
    assert account is not None
    unused = sum(len(one.places) for one in account.unused)
    masks = f" + {account.masks} masks" if account.masks else ""
    read = f" + {len(account.read)} read besides" if account.read else ""
    outside = f"; {account.outside} more lie elsewhere" if account.outside else ""
    return (
        f"{account.total} below {account.folder} = {account.images} images{masks}{read} + {unused} not used"
        f"{' (see below)' if unused else ''}{outside}"
    )


def _unused(found: "Inspection") -> list[str]:
    lines = []
    for one in found.account.unused if found.account else ():
        endings = ", ".join(f"{ending} {count}" for ending, count in one.endings[:4])
        more = ", …" if len(one.places) > _EXAMPLES else ""
        lines.append(f"{len(one.places)} {one.reason} ({endings}): {', '.join(one.places[:_EXAMPLES])}{more}")
    return lines


def _odd(found: "Inspection") -> list[str]:
    kinds: dict[str, list[str]] = {}
    for name, what in found.odd.items():
        kinds.setdefault(what, []).append(name)
    return [
        f"{len(names)} with {what}: {', '.join(names[:_EXAMPLES])}{', …' if len(names) > _EXAMPLES else ''}"
        for what, names in kinds.items()
    ]


def _damaged(found: "Inspection") -> list[str]:
    counts = Counter(message.splitlines()[0] for message in found.damaged.values())
    lines = [line if count == 1 else f"{line.rstrip(';')} ({count} images)" for line, count in counts.items()]
    lines = lines[:_MOST] + ([f"and {len(lines) - _MOST} more"] if len(lines) > _MOST else [])
    rests = dict.fromkeys(" ".join(message.splitlines()[1:]) for message in found.damaged.values())
    said = " ".join(found.notes)
    return lines + [f"what to do: {rest}" for rest in rests if rest and rest not in said and "data inspect" not in rest]


def _equal(found: "Inspection") -> list[str]:
    if not found.equal:
        return []
    conflicting = sum(equal.conflicting for equal in found.equal)
    across = sum(equal.across_parts for equal in found.equal)
    what = "masks" if found.task == "segmentation" else "labels"
    lines = [
        f"{len(found.equal)} sets of images with equal pixels: {conflicting} with different {what}, "
        f"{across} in several official parts",
        "a run keeps one of each set whose labels agree and none of the others, unless data.duplicates says otherwise",
    ]
    for equal in found.equal[:_MOST]:
        labels = f": {', '.join(equal.classes)}" if found.task == "classification" else ""
        marks = [
            *([f"different {what}"] if equal.conflicting else []),
            *([f"in {', '.join(sorted(str(part) for part in set(equal.parts)))}"] if equal.across_parts else []),
            *(["in different groups"] if len(set(equal.groups)) > 1 else []),
        ]
        lines.append(f"{' = '.join(equal.ids)}{labels}{' (' + '; '.join(marks) + ')' if marks else ''}")
    return lines + ([f"and {len(found.equal) - _MOST} more sets"] if len(found.equal) > _MOST else [])
