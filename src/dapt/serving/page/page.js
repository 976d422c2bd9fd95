// The page uses only the public API.
const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};
const byId = (id) => document.getElementById(id);

let key = sessionStorage.getItem("key");
let asked; // the prompt for the key, shared by all calls that wait for it; after a cancel, sending a form asks again

function askForKey() {
  asked ??= new Promise((resolve) => resolve(prompt("Enter the key of this server"))).then((given) => {
    key = given;
    if (key) {
      sessionStorage.setItem("key", key);
      asked = undefined;
    }
    return key;
  });
  return asked;
}

async function call(path, body) {
  const used = key;
  const headers = { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) };
  const answer = await fetch(path, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
  if (answer.status === 401 && (key !== used || (await askForKey()))) return call(path, body);
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error.message);
  return found;
}

let encoders;
function models() {
  encoders ??= call("v1/models").then(({ data }) => data.filter((one) => one.kind === "masked-lm").map((one) => one.id))
    .catch((error) => { encoders = undefined; throw error; });
  return encoders;
}

// Ask every encoder, show the answers, and report errors.
async function ask(said, path, body, show) {
  said.textContent = "…";
  try {
    const names = await models();
    const answers = await Promise.allSettled(names.map((model) => call(path, { model, ...body })));
    const found = names.map((name, number) => [name, answers[number]]);
    const good = found.filter(([, answer]) => answer.value).map(([name, answer]) => [name, answer.value.results[0]]);
    const reasons = new Set(found.filter(([, answer]) => answer.reason).map(([, answer]) => answer.reason.message));
    said.textContent = [...reasons].join(" ");
    show(good);
  } catch (error) {
    said.textContent = error.message;
  }
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function answered(found) {
  const likely = ({ token, score }) =>
    element("li", {},
      element("span", {}, token),
      element("span", { class: "share" }, percent(score)),
      element("span", { class: "bar", style: `width: ${100 * score}%`, "aria-hidden": "true" }));
  byId("answers").replaceChildren(...found.map(([name, { masks }]) =>
    element("article", { class: "panel" },
      element("h3", {}, name),
      ...masks.map((tokens) => element("ol", {}, ...tokens.map(likely))))));
}

function scored(found) {
  const sorted = [...found].sort(([, a], [, b]) => a.loss - b.loss);
  const colour = (loss) => `background: rgba(var(--loss), ${Math.min(0.45, loss / 20).toFixed(2)})`;
  const shown = ({ token, loss }) =>
    [element("span", loss === null ? {} : { style: colour(loss), title: `loss ${loss.toFixed(2)}` }, token), " "];
  byId("losses").replaceChildren(...sorted.map(([name, of], number) =>
    element("article", { class: "panel" },
      element("h3", {}, `${name}: loss per token ${of.loss.toFixed(2)}${number ? "" : " (lowest)"}`),
      element("p", { class: "tokens" }, ...of.per_token.flatMap(shown)))));
  if (sorted.length) byId("score-said").append(" The stronger a token's colour, the higher its loss.");
}

async function matrix() {
  const { matrix: rows } = await call("v1/comparison");
  const names = Object.keys(rows);
  if (!names.length) return byId("matrix").replaceChildren("There are no results yet; run dvc repro to compute them.");
  const sets = Object.keys(rows[names[0]]);
  const best = Object.fromEntries(sets.map((set) => [set, Math.min(...names.map((name) => rows[name][set].loss))]));
  const cell = (loss, set) => element("td", loss === best[set] ? { class: "best" } : {}, loss.toFixed(3));
  const header = (text, scope) => element("th", { scope }, text);
  byId("matrix").replaceChildren(element("table", {},
    element("thead", {}, element("tr", {}, header("model", "col"), ...sets.map((set) => header(set, "col")))),
    element("tbody", {}, ...names.map((name) =>
      element("tr", {}, header(name, "row"), ...sets.map((set) => cell(rows[name][set].loss, set)))))));
}

const fill = () => ask(byId("fill-said"), "v1/fill-mask", { text: [byId("sentence").value], top_k: 5 }, answered);
const compare = () => ask(byId("score-said"), "v1/score", { text: [byId("text").value], tokens: true }, scored);

for (const [id, answer] of [["fill", fill], ["score", compare]]) {
  byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    asked = undefined;
    answer();
  });
  byId(id).querySelector("textarea").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId(id).requestSubmit();
  });
}
await Promise.allSettled([fill(), compare(), matrix()]);
document.body.dataset.ready = "yes";
