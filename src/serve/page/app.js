// The page: state in the address, one function a view. Names from the data are only ever text.
"use strict";

const $ = (id) => document.getElementById(id);
const VIEWS = ["explore", "pipeline", "models"];
const CASES = {
  default: "new user: popular tracks",
  similar: "events only",
  personal: "precomputed list only",
  blend: "list and events",
};
const SOURCES = { personal: "personal", online: "online", similar: "similar", popular: "popular" };

/** What an answer says when it is not the one hoped for. */
class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

async function request(path, { method = "GET", query = {}, signal } = {}) {
  const search = new URLSearchParams(query).toString();
  const headers = { accept: "application/json, */*;q=0.5" };
  const key = sessionStorage.getItem("key");
  if (key) headers["x-api-key"] = key;
  const response = await fetch(search ? `${path}?${search}` : path, { method, headers, signal, cache: "no-store" });
  if (response.ok) return response;
  if (response.status === 401 || response.status === 403) $("key-form").hidden = false;
  const error = await response.json().catch(() => ({}));
  throw new Refusal(response.status, error.code, error.message ?? `the service answers ${response.status}`);
}

const ask = async (path, options) => (await request(path, options)).json();

/** A picture as something an image may show; asked for like everything else, so that a key goes with it. */
async function picture(path, alt, attributes = {}) {
  const address = URL.createObjectURL(await (await request(path)).blob());
  return make("img", { src: address, alt, onload: () => URL.revokeObjectURL(address), ...attributes });
}

// --- the address: #view?user=7&track=42

function place() {
  const [view, query] = location.hash.slice(1).split("?");
  const values = new URLSearchParams(query);
  const id = (name) => (/^-?\d+$/.test(values.get(name) ?? "") ? values.get(name) : null);
  return { view: VIEWS.includes(view) ? view : "explore", user: id("user"), track: id("track") };
}

function go(user, track) {
  const values = new URLSearchParams();
  if (user !== null) values.set("user", user);
  if (track !== null) values.set("track", track);
  const hash = `#explore${values.size ? `?${values}` : ""}`;
  if (location.hash === hash) show();
  else location.hash = hash;
}

async function show() {
  const { view, user, track } = place();
  for (const name of VIEWS) $(name).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = view === "explore" && user !== null ? `User ${user} · recsys` : `${view} · recsys`;
  await { explore: () => explore(user, track), pipeline, models }[view]();
}

// --- explore: the sources side by side

/** The lists of the user that is shown, by column, as they were before the last event. */
let before = { user: null, lists: new Map() };
let turn = 0;

const title = (item) => item.names?.track ?? `Track ${item.track_id}`;

function tell(text, isBad = false) {
  $("told").textContent = text;
  $("told").className = isBad ? "bad" : "";
}

async function explore(user, track) {
  const own = ++turn;
  const list = (path, query) => ask(path, { method: "POST", query: { k: $("k").value, names: true, ...query } });
  const optional = (promise) => promise.catch((error) => error);
  const ofUser = (path) => (user === null ? null : optional(list(path, { user_id: user })));
  const [blend, personal, online, popular, history] = await Promise.all([
    user === null ? null : optional(list("recommendations", { user_id: user, explain: true })),
    ofUser("recommendations_offline"),
    ofUser("recommendations_online"),
    optional(ask("top_popular", { query: { k: $("k").value, names: true } })),
    user === null ? null : optional(ask(`history/${user}`, { query: { k: 20, names: true } })),
  ]);
  const chosen = track ?? history?.items?.[0]?.track_id ?? blend?.items?.[0]?.track_id ?? popular?.items?.[0]?.track_id;
  const known = [history, blend, personal, online, popular].flatMap((answer) => answer?.items ?? []);
  const similar = chosen === undefined ? null : await optional(list("similar_tracks", { track_id: chosen }));
  if (own !== turn) return;

  $("user").hidden = user === null;
  if (user !== null) {
    $("user-name").textContent = `User ${user}`;
    $("case").textContent = CASES[blend?.source] ?? "";
    const lacks = blend?.degraded?.length ? `without ${blend.degraded.join(" and ")}, which cannot be asked` : "";
    $("variant").textContent = [blend?.variant && `variant ${blend.variant}`, lacks].filter(Boolean).join(", ");
    $("events").replaceChildren(...events(history));
  }
  const to = known.find((item) => String(item.track_id) === String(chosen));
  const columns = [
    ["blend", "Blend", counted(blend), blend],
    ["personal", "Personal", "The list made in advance", personal?.source === "default" ? [] : personal],
    ["online", "Online", "Similar to the last events", online],
    ["similar", "Similar", `To ${to ? `“${title(to)}”` : `track ${chosen}`}`, similar],
    ["popular", "Popular", "The same for everyone", popular],
  ];
  const shown = columns.filter(([, , , answer]) => answer !== null);
  const isSame = before.user === user;
  $("lists").replaceChildren(...shown.map(([id, name, about, answer]) => {
    const old = isSame && id !== "similar" ? before.lists.get(id) : undefined;
    return column(id, name, about, answer, user, old);
  }));
  const tracks = (answer) => new Set((answer?.items ?? []).map((item) => item.track_id));
  before = { user, lists: new Map(columns.map(([id, , , answer]) => [id, tracks(answer)])) };
}

/** What the blend is made of, as a legend. */
function counted(blend) {
  const items = blend?.items ?? [];
  const legend = Object.keys(SOURCES).map((source) => [source, items.filter((item) => item.source === source).length]);
  return make("span", { class: "legend" }, ...legend.filter(([, n]) => n > 0).map(([source, n]) =>
    make("span", {}, make("i", { class: `source ${source}` }), `${n} ${SOURCES[source]}`)));
}

function events(history) {
  if (history instanceof Error) return [make("li", { class: "quiet" }, reason(history))];
  if (!history.items.length) {
    return [make("li", { class: "quiet" }, "none yet: press + beside a track, and watch the lists change")];
  }
  return history.items.map((item) =>
    make("li", { class: "chip", title: `${title(item)}, ${new Date(item.at).toLocaleString()}` }, title(item)));
}

const reason = (error) => (error.code === "not_found" ? "Another port of this service answers that." : error.message);

function column(id, name, about, answer, user, old) {
  const head = make("h3", {}, id === "blend" ? "" : make("i", { class: "source" }), name);
  const section = make("section", { class: `list ${id}`, "aria-label": name }, head, make("p", {}, about));
  const items = answer?.items ?? [];
  if (!items.length) {
    const empty = {
      personal: "No list was made for this user.",
      online: "No events to start from, or nothing is similar to them.",
      similar: "Nothing is similar to it.",
    };
    section.append(make("p", { class: "empty" }, answer instanceof Error ? reason(answer) : empty[id] ?? "Nothing."));
    return section;
  }
  section.append(make("ol", {}, ...items.map((item, index) => row(id, item, index + 1, user, old))));
  return section;
}

function row(column, item, rank, user, old) {
  const names = item.names ?? {};
  const more = [names.artists?.join(", "), names.genre].filter(Boolean).join(" · ");
  const place = make("span", { class: "rank" }, `${rank}`);
  if (column === "blend") place.prepend(make("i", { class: `source ${item.source}`, title: item.source }));
  const open = make("button", {
    class: "track", title: `${title(item)}${more ? `, ${more}` : ""}: show what is similar`,
    onclick: () => go(user, String(item.track_id)),
  }, make("b", {}, title(item)), make("span", {}, more || `track ${item.track_id}`));
  const why = column === "blend" && because(item);
  if (why) open.append(make("span", { class: "why", title: why }, why));
  const add = user === null ? "" : make("button", {
    class: "add", "aria-label": `Add an event: user ${user} listened to ${title(item)}`, title: "Listened",
    onclick: () => listen(user, item),
  }, "+");
  const isNew = old && !old.has(item.track_id);
  return make("li", { class: isNew ? "new" : null }, place, open, add);
}

/** Why a track is there, in a few words. */
function because({ reason }) {
  const names = (reason?.tracks ?? []).map((track) => `“${title(track)}”`);
  const some = names.slice(0, 2).join(", ") + (names.length > 2 ? ` and ${names.length - 2} more` : "");
  const words = {
    similar_to: `like ${some}`,
    past_tracks: `for ${some}`,
    personal_list: names.length ? `for ${some}` : `place ${reason?.rank} of their list`,
    popular: "popular",
  };
  return words[reason?.because] ?? "";
}

async function listen(user, item) {
  try {
    await ask("put", { method: "POST", query: { user_id: user, track_id: item.track_id } });
    await explore(user, null);
    const n = document.querySelectorAll(".list.blend li.new").length;
    const change = n === 1 ? "one track of the blend is new" : n ? `${n} tracks of the blend are new` : "the blend has no new track";
    tell(`Stored: user ${user} listened to “${title(item)}”; ${change}.`);
  } catch (error) {
    tell(`Not stored: ${reason(error)}`, true);
  }
}

// --- search

let searching = new AbortController();
let pause = 0;

function find() {
  clearTimeout(pause);
  searching.abort();
  searching = new AbortController();
  const { signal } = searching;
  const q = $("q").value.trim();
  if (!q) return close();
  pause = setTimeout(async () => {
    try {
      offer(q, await ask("search", { query: { q, k: 8 }, signal }));
    } catch (error) {
      if (error.name !== "AbortError") offer(q, { tracks: [], users: [] }, reason(error));
    }
  }, 120);
}

function offer(q, found, fault) {
  const { user } = place();
  const isId = /^-?\d{1,18}$/.test(q);
  const users = found.users.map((one) => String(one.user_id)).filter((id) => id !== q);
  const option = (pick, ...inside) => {
    const made = make("div", { role: "option", "aria-selected": "false" }, ...inside);
    made.addEventListener("mousedown", (event) => event.preventDefault());
    made.addEventListener("click", () => (close(), ($("q").value = ""), pick()));
    return made;
  };
  const isKnown = found.users.some((one) => String(one.user_id) === q);
  const ofUsers = [
    ...(isId ? [option(() => go(q, null), `User ${q}`, make("span", { class: "quiet" }, isKnown ? "has a list" : "has no list"))] : []),
    ...users.slice(0, 4).map((id) => option(() => go(id, null), `User ${id}`, make("span", { class: "quiet" }, "has a list"))),
  ];
  const ofTracks = found.tracks.map((track) =>
    option(() => go(user, String(track.track_id)), title(track),
      make("span", { class: "quiet" }, [track.names.artists.join(", "), track.names.genre].filter(Boolean).join(" · "))));
  const group = (name, options) => (options.length ? [make("div", { class: "group", role: "presentation" }, name), ...options] : []);
  const nothing = make("p", { class: "empty" }, fault ?? "Nothing has this name.");
  const all = [...group("Users", ofUsers), ...group("Tracks", ofTracks)];
  $("found").replaceChildren(...(all.length ? all : [nothing]));
  [...$("found").querySelectorAll("[role=option]")].forEach((one, index) => (one.id = `option-${index}`));
  $("found").hidden = false;
  $("q").setAttribute("aria-expanded", "true");
  choose(0);
}

function choose(index) {
  const options = [...$("found").querySelectorAll("[role=option]")];
  if (!options.length) return;
  const chosen = options[(index + options.length) % options.length];
  options.forEach((one) => one.setAttribute("aria-selected", String(one === chosen)));
  $("q").setAttribute("aria-activedescendant", chosen.id);
  chosen.scrollIntoView({ block: "nearest" });
}

function close() {
  $("found").hidden = true;
  $("q").setAttribute("aria-expanded", "false");
  $("q").removeAttribute("aria-activedescendant");
}

function typed(event) {
  const options = [...$("found").querySelectorAll("[role=option]")];
  const at = options.findIndex((one) => one.getAttribute("aria-selected") === "true");
  if (event.key === "Escape") close();
  else if ($("found").hidden || !options.length) return;
  else if (event.key === "ArrowDown") choose(at + 1);
  else if (event.key === "ArrowUp") choose(at - 1);
  else if (event.key === "Enter") options[at]?.click();
  else return;
  event.preventDefault();
}

async function suggest() {
  const { users } = await ask("search", { query: { k: 5 } }).catch(() => ({ users: [] }));
  const chip = (text, user) => make("button", { class: "chip", onclick: () => go(user, null) }, text);
  const fresh = String(1e9 + Math.floor(Math.random() * 1e9));
  $("suggestions").replaceChildren("Try ", ...users.map((one) => chip(`user ${one.user_id}`, String(one.user_id))), chip("a new user", fresh));
}

// --- the pipeline and the models

async function pipeline() {
  const body = $("pipeline-body");
  try {
    const { name, file, steps } = await ask("pipeline");
    const drawing = await picture("pipeline.svg", `The steps of ${name} and how they depend on each other`, { class: "drawing" });
    $("pipeline-file").textContent = file;
    const words = (step) => make("span", { class: `state ${step.state.replaceAll(" ", "-")}` }, make("i", { class: "dot" }), step.state);
    const rows = steps.map((step) => [step.name, step.kind, words(step), step.reason, step.seconds ?? undefined, step.after.join(", ")]);
    const card = make("div", { class: "card", tabindex: "0", role: "group", "aria-label": "The picture" }, drawing);
    // Where the drawing is wider than the page, its middle is seen first.
    drawing.addEventListener("load", () => (card.scrollLeft = (card.scrollWidth - card.clientWidth) / 2));
    body.replaceChildren(
      card,
      make("div", { class: "card", tabindex: "0", role: "group", "aria-label": "The steps" }, table(["Step", "Kind", "State", "Why", "Seconds", "After"], rows)),
    );
  } catch (error) {
    const help = error.code === "no_pipeline"
      ? "No pipeline is known: run one with `recsys run`, or name one with `recsys serve --pipeline FILE`."
      : reason(error);
    body.replaceChildren(make("p", { class: "card empty" }, help));
  }
}

const MAIN = ["ndcg", "recall", "precision", "map", "hit_rate", "coverage_items", "novelty", "diversity", "popularity_bias"];

async function models() {
  const body = $("models-body");
  const pictures = await drawn();
  try {
    const report = await ask("evaluation");
    const all = Object.entries(report.models ?? {});
    const metrics = [...new Set(all.flatMap(([, model]) => Object.keys(model.metrics ?? {})))].sort();
    if (!metrics.length) throw new Refusal(404, "no_report", "The report has no model.");
    const cut = report.compare_at ?? metrics[0].split("@")[1];
    const chosen = metrics.includes($("metric").value) ? $("metric").value : `ndcg@${cut}`;
    $("metric").replaceChildren(...metrics.map((name) => make("option", { selected: name === chosen ? "" : null }, name)));
    const counts = all[0][1].counts ?? {};
    $("models-note").textContent = counts.evaluated_users ? `${number(counts.evaluated_users).replace(/\.00$/, "")} test users` : "";
    const of = (model, name) => model.metrics?.[name] ?? {};
    const rows = all.map(([name, model]) => ({ name, ...of(model, chosen) })).filter((one) => typeof one.value === "number");
    rows.sort((a, b) => b.value - a.value);
    const columns = MAIN.map((name) => `${name}@${cut}`).filter((name) => metrics.includes(name));
    const ordered = [...all].sort(([, a], [, b]) => (of(b, chosen).value ?? 0) - (of(a, chosen).value ?? 0));
    const lines = ordered.map(([name, model]) => [name, ...columns.map((column) => of(model, column).value)]);
    body.replaceChildren(
      make("div", { class: "card", tabindex: "0", role: "group", "aria-label": "The chart" }, make("h3", {}, `${chosen}, with 95 % intervals`), bars(rows, `${chosen} of each model`, body.clientWidth - 40)),
      make("div", { class: "card", tabindex: "0", role: "group", "aria-label": "The numbers" }, table(["Model", ...columns], lines, (line) => (line === lines[0] ? "best" : ""))),
      ...pictures,
    );
  } catch (error) {
    const help = error.code === "no_report" ? "No evaluation yet: a pipeline with the kind `evaluate` makes one." : reason(error);
    body.replaceChildren(make("p", { class: "card empty" }, help), ...pictures);
  }
}

async function drawn() {
  const names = await ask("pictures").catch(() => []);
  const made = await Promise.all(names.map(async (name) => {
    const image = await picture(`pictures/${encodeURIComponent(name)}`, name).catch(() => null);
    return image && make("figure", { class: "card" }, image, make("figcaption", {}, name));
  }));
  const all = made.filter(Boolean);
  return all.length ? [make("div", { class: "pictures" }, ...all)] : [];
}

async function health() {
  let words = "ready";
  let isGood = true;
  try {
    await ask("ready");
  } catch (error) {
    [isGood, words] = [false, error.status ? "not ready" : "does not answer"];
  }
  const isBack = isGood && $("health").className === "bad";
  $("health").className = isGood ? "good" : "bad";
  if (isBack) {
    suggest();
    show();
  }
  $("health").querySelector(".words").textContent = words;
}

$("q").addEventListener("input", find);
$("q").addEventListener("keydown", typed);
$("q").addEventListener("blur", close);
$("q").addEventListener("focus", find);
$("k").addEventListener("change", () => ((before = { user: null, lists: new Map() }), show()));
$("metric").addEventListener("change", models);
$("look").addEventListener("click", pipeline);
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", $("key").value);
  $("key-form").hidden = true;
  suggest();
  show();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || ["INPUT", "SELECT"].includes(document.activeElement?.tagName)) return;
  if (place().view !== "explore") location.hash = "#explore";
  event.preventDefault();
  setTimeout(() => $("q").focus());
});
addEventListener("hashchange", () => (tell(""), show()));
health();
setInterval(health, 15000);
suggest();
show();
