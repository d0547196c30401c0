"""The folder of a run that is being trained: held by one process, begun, gone on with and finished."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from preceptor.errors import UserError
from preceptor.files import file_lock, write_text
from preceptor.runs.begun import Begun, known_fingerprint, read_begun, require_same_data, text_sha256, write_begun
from preceptor.runs.files import RunFiles
from preceptor.runs.finished import FinishedRun, read_finished, unverified, write_result
from preceptor.runs.metrics import MetricsLog
from preceptor.runs.place import remove_leftovers
from preceptor.runs.result import RunResult
from preceptor.sealed import CHANGED, file_sha256


class RunFolder:
    """Safe writing of one run. Nothing is on disk before :meth:`begin`.

    Args:
        recipe: the text of the recipe.
        writes: whether this process writes; what it would write is passed over otherwise.
        note: says a line to the user.
        moved_from: where the data were when the run began, if the recipe says another place now.
    """

    def __init__(
        self,
        path: Path,
        recipe: str,
        *,
        writes: bool = True,
        note: Callable[[str], None] = lambda line: None,
        moved_from: str | None = None,
    ) -> None:
        self.files = RunFiles(path)
        self.writes = writes
        self.log = MetricsLog(self.files.metrics)
        self.moved_from = moved_from
        self._recipe = recipe
        self._say_note = note
        self._told: set[str] = set()
        self._is_alone = False

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.files.folder

    def tell_once(self, line: str) -> None:
        """Say a line to the user, the first time."""
        if line not in self._told:
            self._told.add(line)
            self._say_note(line)

    def require_data(self, fingerprint: str, split: str) -> None:
        """Refuse data that have changed since the run began.

        Args:
            fingerprint: of the packed images.
            split: ``split.csv`` as these are split.

        Raises:
            UserError: they have.
        """
        if not self.files.has_trained():
            return
        if self.moved_from is not None and known_fingerprint(self.path) != fingerprint:
            raise UserError(
                f"{self.path} holds a run on the data in {self.moved_from}, and those that the recipe names now are "
                "others.\nGive another folder with --out, or the recipe with which the run began."
            )
        require_same_data(self.path, fingerprint, split, self.tell_once)
        if read_begun(self.path) is None:
            self.tell_once(unverified(self.path))
        if self.moved_from is not None:
            self.tell_once(
                f"the data were in {self.moved_from} when this run began; where they are now, they are equal"
            )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from writing here; the system lets go when this one dies.

        Raises:
            UserError: another process is at work here.
        """
        with ExitStack() as stack:
            if self.writes:
                _make_folder(self.path)
                try:
                    self._is_alone = stack.enter_context(file_lock(self.files.lock, wait=False))
                except BlockingIOError:
                    raise UserError(
                        f"another process is training in {self.path}; wait for it, or give another folder with --out"
                    ) from None
            yield

    def begin(self, fingerprint: str, split: str) -> None:
        """Make the folder and write what the run begins with; what a killed process left half written goes.

        Args:
            fingerprint: of the packed images.
            split: the content of ``split.csv``.
        """
        if not self.writes:
            return
        _make_folder(self.path)
        remove_leftovers(self.path, is_alone=self._is_alone)
        recipe, begun = self.files.recipe, read_begun(self.path)
        is_same = begun is not None and begun.recipe == text_sha256(self._recipe)
        if begun and is_same and recipe.exists() and file_sha256(recipe) != begun.recipe:
            self.tell_once(f"{recipe} {CHANGED}; the recipe given is that of the run, and it is written anew")
        write_begun(self.path, Begun(fingerprint, text_sha256(split), text_sha256(self._recipe)))
        write_text(recipe, self._recipe)
        write_text(self.files.split, split)

    @property
    def finished(self) -> FinishedRun | None:
        """The finished run that lies here, if it is one."""
        found = read_finished(self.path)
        if found is not None and not found.is_sealed:
            self.tell_once(unverified(self.path))
        return found

    def write_result(self, result: RunResult) -> None:
        """Finish the run."""
        if self.writes:
            self.log.cut()
            write_result(self.path, result, {self.files.metrics.name: self.log.digest})

    def resume_metrics(self, size: int, digest: str) -> None:
        """Go on from the ``metrics.csv`` that a checkpoint knows.

        Raises:
            DamagedFileError: it is not there any more.
        """
        if self.writes:
            self.log.goes_on_from(size, digest)

    def replace_metrics(self, text: str) -> None:
        """Write the whole of ``metrics.csv``."""
        if self.writes:
            write_text(self.files.metrics, "")
            self.log = MetricsLog(self.files.metrics)
            self.log.append_text(text)

    def cut_metrics(self) -> None:
        """Drop rows that were measured after the checkpoint from which training goes on."""
        if self.writes:
            self.log.cut()

    def append_metrics(self, rows: Iterable[tuple[str, int, str, str, str, float]]) -> None:
        """Add rows: stage, epoch, network, split, metric, value."""
        if self.writes:
            self.log.append(rows)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the run folder {path}: {error.strerror}; give another with --out") from None
