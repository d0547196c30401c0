"use strict";

const $ = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)} %`;
let about = null;
let asked = 0;

function made(name, text, parent) {
  const element = document.createElement(name);
  element.textContent = text;
  parent.append(element);
  return element;
}

function say(text, wrong = false) {
  $("state").textContent = text;
  $("state").className = wrong ? "wrong" : "";
}

async function know() {
  about = await (await fetch("version")).json();
  const { bundle, limits } = about;
  const name = bundle.name || "A bundle";
  $("about").textContent = `${name} (${bundle.sha256.slice(0, 8)}) answers: ${about.task} into ` +
    `${about.classes.map((one) => one.name).join(", ")}. Images of up to ${limits.bytes / 1e6} MB.`;
}

async function ask(file) {
  const mine = ++asked;
  $("found").hidden = true;
  say("Looking …");
  try {
    if (!about) await know();
    if (file.size > about.limits.bytes) {
      say(`The image has ${(file.size / 1e6).toFixed(1)} MB; ${about.limits.bytes / 1e6} MB are taken at most.`, true);
      return;
    }
    const answer = await fetch("predict?pictures=true", { method: "POST", body: file });
    const found = await answer.json();
    if (mine !== asked) return;
    if (!answer.ok) {
      say(`No answer: ${found.error}`, true);
      return;
    }
    show(found, file);
    say("");
  } catch {
    if (mine === asked) say("No answer: the server cannot be reached.", true);
  }
}

function show(found, file) {
  const [first] = found.answers;
  const has_mask = "mask" in first;
  const shares = first.probabilities || first.shares;
  const several = found.answers.length > 1;
  $("label").textContent = has_mask ? "Mask" : several ? `${found.answers.length} tiles` : first.label;
  picture(found, has_mask, first, file);
  warnings(found.answers);
  $("sure").textContent = has_mask || several ? "" : `Certainty ${percent(first.certainty)}` +
    (about.least_certainty === null ? "" : `; below ${percent(about.least_certainty)} it abstains`);
  $("what").textContent = has_mask ? "Share of the image that each class covers"
    : several ? "Share of the tiles that are decided to be each class" : "Probability of each class";
  $("shares").replaceChildren();
  for (const { name, colour } of about.classes) {
    const of_tiles = found.answers.filter((one) => one.label === name).length / found.answers.length;
    row(name, colour, several ? of_tiles : shares[name]);
  }
  $("how").textContent = how(has_mask);
  $("found").hidden = false;
}

function picture(found, has_mask, first, file) {
  const image = $("picture");
  image.hidden = !found.picture;
  $("choice").hidden = !found.overlay;
  const draw = () => {
    image.src = found.overlay && $("over").checked ? found.overlay : found.picture || "";
  };
  image.alt = `${file.name || "The image"}${has_mask ? " with its mask" : `: ${first.label}`}`;
  $("over").onchange = draw;
  draw();
}

function warnings(answers) {
  $("warnings").replaceChildren();
  const of = (count) => (answers.length > 1 ? `${count} of ${answers.length} tiles: ` : "");
  const unsure = answers.filter((one) => one.abstained).length;
  if (unsure) made("li", `${of(unsure)}Not certain enough to be relied on.`, $("warnings"));
  const outside = answers.filter((one) => one.outside.length);
  if (outside.length) {
    const names = [...new Set(outside.flatMap((one) => one.outside))].join(", ");
    made("li", `${of(outside.length)}Unlike the images of training in ${names}: the answer is not to be trusted.`, $("warnings"));
  }
}

function row(name, colour, share) {
  const line = made("tr", "", $("shares"));
  const head = made("th", "", line);
  head.scope = "row";
  const mark = made("span", "", head);
  mark.className = "colour";
  mark.style.background = `rgb(${colour.join(" ")})`;
  head.append(name);
  const bar = made("div", "", made("td", "", line));
  bar.className = "bar";
  bar.style.width = percent(share).replace(" ", "");
  bar.style.background = "var(--mark)";
  made("td", percent(share), line);
}

function how(has_mask) {
  const guard = about.guard === null ? "No input guard: it does not say which images are unlike those of training."
    : `Compared with the images of training: ${about.guard.join(", ")}.`;
  if (has_mask) return `Masks come without a certainty. ${guard}`;
  const rule = about.threshold === null ? "the largest probability decides"
    : `${about.classes[1].name} from ${percent(about.threshold)} on`;
  return `Temperature ${about.temperature.toFixed(2)}; ${rule}. ${guard}`;
}

$("file").addEventListener("change", () => $("file").files.length && ask($("file").files[0]));
$("form").addEventListener("submit", (event) => event.preventDefault());
for (const name of ["dragover", "drop", "dragleave"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) ask(event.dataTransfer.files[0]);
  });
}
addEventListener("paste", (event) => event.clipboardData.files.length && ask(event.clipboardData.files[0]));
know().catch(() => say("The server cannot be reached.", true));
