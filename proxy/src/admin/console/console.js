// The console. It displays text from clients, so text is inserted as text nodes, never as markup.
"use strict";

const EVERY_MS = 2000;
const CHART_MS = 120_000;
const RECENT_MS = 60_000;
const NOW_MS = 10_000;

const $ = (id) => document.getElementById(id);

/** Creates an element with attributes and children; strings become text nodes. */
function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const badge = (kind, text = kind) => el("span", { class: `badge ${kind}` }, text);
const number = (value, digits = 0) => value.toLocaleString("en", { maximumFractionDigits: digits });
const clock = (iso) => iso.slice(11, 19);

function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) [value, at] = [value / 1024, at + 1];
  return `${number(value, value < 10 && at ? 1 : 0)} ${units[at]}`;
}

function time(seconds) {
  if (seconds === null) return "-";
  return seconds < 1 ? `${number(seconds * 1000, seconds < 0.01 ? 1 : 0)} ms` : `${number(seconds, 1)} s`;
}

function span(seconds) {
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = parts.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0 s";
  let left = seconds;
  return parts.slice(first, first + 2).map(([unit, size]) => {
    const count = Math.floor(left / size);
    left -= count * size;
    return `${count} ${unit}`;
  }).join(" ");
}

/** Creates a table. A column has a title and a function that shows a row; the first column is the row header. */
function table(title, columns, rows) {
  const cell = (column, row, at) => {
    const content = column.show(row);
    const kind = [column.number ? "number" : "", column.mark?.(row) ?? ""].join(" ").trim();
    if (at === 0) return el("th", { scope: "row", role: "rowheader" }, content);
    return el("td", { role: "cell", class: kind, "data-label": column.title }, content);
  };
  return el("table", { role: "table", "aria-label": title },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, columns.map((column) =>
      el("th", { scope: "col", role: "columnheader", class: column.number ? "number" : "" }, column.title)))),
    el("tbody", { role: "rowgroup" }, rows.map((row) =>
      el("tr", { role: "row" }, columns.map((column, at) => cell(column, row, at))))));
}

/** The data that each element displays, as JSON. */
const displayed = new Map();

/** Replaces the content of an element only if its data has changed, so that selection and focus do not get lost. */
function show(id, data, make) {
  const text = JSON.stringify(data);
  if (displayed.get(id) === text) return;
  displayed.set(id, text);
  $(id).replaceChildren(make(data));
}

/** Fetches JSON; `options` are those of `fetch`. */
async function fetchJson(path, options) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(8000), ...options });
  const body = await response.json();
  if (!response.ok) throw new Error(body.error ?? `status ${response.status}`);
  return body;
}

// Traffic

/** The status responses of the last two minutes, oldest first. */
let past = [];

const key = (pair) => `${pair.caller_dialect} ${pair.target}`;
const total = (status) => status.pairs.reduce((sum, pair) => sum + pair.requests, 0);

/** Returns the oldest status within so many milliseconds before the latest one. */
function before(milliseconds) {
  const latest = past.at(-1);
  return past.find((one) => latest.at - one.at <= milliseconds) ?? latest;
}

function remember(status) {
  // Lower counters mean that the process was restarted or replaced: rates over both processes would be negative.
  const latest = past.at(-1)?.status;
  if (latest && (status.uptime_seconds < latest.uptime_seconds || total(status) < total(latest))) past = [];
  past.push({ at: performance.now(), status });
  past = past.filter((one) => past.at(-1).at - one.at <= CHART_MS);
}

function perSecond(old, count) {
  const latest = past.at(-1);
  const seconds = (latest.at - old.at) / 1000;
  return seconds > 0 ? (count(latest.status) - count(old.status)) / seconds : 0;
}

/** Interpolates a percentile from cumulative counts, as Prometheus does. */
function percentile(share, within, count, bounds) {
  const rank = share * count;
  const at = within.findIndex((sum) => sum >= rank);
  if (at < 0) return bounds.at(-1);
  const [lower, below] = at ? [bounds[at - 1], within[at - 1]] : [0, 0];
  return lower + (bounds[at] - lower) * (rank - below) / Math.max(within[at] - below, 1);
}

/** Percentiles of the last minute, or since the start if the last minute had no request. */
function latency(pair, old, bounds) {
  const own = pair.request_duration_seconds;
  const was = old?.request_duration_seconds ?? { count: 0, within: own.within.map(() => 0) };
  const count = own.count - was.count;
  if (count <= 0) return { recent: false, p50: own.p50, p95: own.p95, p99: own.p99 };
  const within = own.within.map((sum, at) => sum - (was.within[at] ?? 0));
  const of = (share) => percentile(share, within, count, bounds);
  return { recent: true, p50: of(0.5), p95: of(0.95), p99: of(0.99) };
}

function showTraffic(status) {
  $("ready").textContent = status.ready ? "ready" : "not ready";
  $("ready").className = `badge ${status.ready ? "ready" : "failing"}`;
  $("version").textContent = `${status.version} (${status.commit}), up ${span(status.uptime_seconds)}`;
  $("rate").textContent = number(perSecond(before(NOW_MS), total), 1);
  $("requests-in-flight").textContent = number(status.requests_in_flight);
  $("connections").textContent = number(status.client_connections);
  $("copies-in-progress").textContent = number(status.copies_in_progress);
  $("rejections").textContent = number(Object.values(status.rejections).reduce((sum, count) => sum + count, 0));
  $("lost-fields").textContent = number(status.lost_fields.reduce((sum, row) => sum + row.count, 0));
  chart();
  const old = before(RECENT_MS);
  const was = new Map(old.status.pairs.map((pair) => [key(pair), pair]));
  const seconds = (past.at(-1).at - old.at) / 1000;
  const rows = status.pairs.map((pair) => ({
    ...pair,
    rate: seconds > 0 ? (pair.requests - (was.get(key(pair))?.requests ?? 0)) / seconds : 0,
    latency: latency(pair, was.get(key(pair)), status.bounds_seconds),
  }));
  const of = (pair, ...classes) => classes.reduce((sum, name) => sum + (pair.statuses[name] ?? 0), 0);
  const times = ["p50", "p95", "p99"].map((name) => ({
    title: name, number: true, show: (pair) => time(pair.latency[name]),
    mark: (pair) => pair.latency.recent ? "" : "since",
  }));
  show("pairs", rows, () => rows.length === 0 ? el("p", null, "No requests yet.") : table("Dialects and targets", [
    { title: "Dialect and target", show: (pair) => `${pair.caller_dialect} → ${pair.target}` },
    { title: "Per second", number: true, show: (pair) => number(pair.rate, 1) },
    { title: "Requests", number: true, show: (pair) => number(pair.requests) },
    { title: "4xx", number: true, show: (pair) => number(of(pair, "4xx")) },
    { title: "5xx or aborted", number: true, show: (pair) => number(of(pair, "5xx", "aborted")),
      mark: (pair) => of(pair, "5xx", "aborted") ? "some" : "" },
    ...times,
    { title: "In", number: true, show: (pair) => bytes(pair.bytes_in) },
    { title: "Out", number: true, show: (pair) => bytes(pair.bytes_out) },
  ], rows));
}

function chart() {
  const latest = past.at(-1).at;
  const points = past.slice(1).map((one, at) => {
    const seconds = (one.at - past[at].at) / 1000;
    return [120 - (latest - one.at) / 1000, (total(one.status) - total(past[at].status)) / seconds];
  });
  const most = Math.max(1, ...points.map(([, rate]) => rate));
  const drawn = points.map(([x, rate]) => `${x.toFixed(1)} ${(29 - 27 * rate / most).toFixed(1)}`);
  const line = drawn.length ? `M${drawn.join("L")}` : "";
  document.querySelector("#chart .line").setAttribute("d", line);
  document.querySelector("#chart .area").setAttribute("d",
    drawn.length ? `${line}L${points.at(-1)[0].toFixed(1)} 30L${points[0][0].toFixed(1)} 30Z` : "");
}

/** The health of a target by its last response or failure. */
function health({ last_success: success, last_failure: failure }) {
  if (failure && (!success || failure.time > success)) return badge("failing");
  return success ? badge("ready", "responding") : badge("unknown", "not used yet");
}

function showTargets(targets) {
  show("targets", targets, () => table("Targets", [
    { title: "Target", show: (target) => `${target.name} (${target.dialect})` },
    { title: "Health", show: (target) => health(target) },
    { title: "Last success", show: (target) => target.last_success ? clock(target.last_success) : "never" },
    { title: "Last failure", show: ({ last_failure: failure }) =>
      failure ? [clock(failure.time), " ", badge("failing", failure.kind)] : "none" },
    { title: "Failures", show: (target) => {
      const kinds = Object.entries(target.errors).map(([kind, count]) => `${kind} ${number(count)}`);
      return kinds.join(", ") || "none";
    } },
  ], targets));
}

function showCopies(copies) {
  show("copies", copies, () => copies.length === 0 ? el("p", null, "None.") : table("Copies in progress", [
    { title: "Caller", show: (copy) => copy.caller },
    { title: "Source and target", show: (copy) => copy.from === copy.to ? copy.from : `${copy.from} → ${copy.to}` },
    { title: "Progress", show: (copy) => el("span", null,
      el("progress", { max: Math.max(copy.bytes, 1), value: copy.bytes_done, "aria-label": `Copy ${copy.request}` }),
      el("small", { class: "quiet" }, `${bytes(copy.bytes_done)} of ${copy.bytes ? bytes(copy.bytes) : "?"}`)) },
    { title: "Duration", number: true, show: (copy) => span(copy.seconds) },
  ], copies));
}

function showEvents(events) {
  show("events", events, () => events.length === 0 ? el("p", null, "None.") : table("Recent events", [
    { title: "Time", show: (event) => clock(event.time) },
    { title: "Kind", show: (event) => badge(event.kind) },
    { title: "Caller and target", show: (event) =>
      `${event.caller ?? "?"} (${event.caller_dialect}) → ${event.target ?? "-"}` },
    { title: "Operation", show: (event) => event.operation ?? "-" },
    { title: "Reason", show: (event) => event.reason },
    { title: "Message", show: (event) => el("span", null, event.message, " ",
      el("small", { class: "quiet" }, event.id)) },
  ], events));
}

// Configuration

function facts(pairs) {
  return el("dl", { class: "facts" }, pairs.map(([name, value]) =>
    el("div", null, el("dt", null, name), el("dd", null, String(value)))));
}

function showConfiguration(config) {
  const since = new Date(config.loaded_timestamp_seconds * 1000).toISOString().slice(0, 19);
  $("loaded").textContent = `Loaded ${since}Z. Secrets are not shown.`;
  const textIf = (value, text) => value ? [text] : [];
  const part = (title, content) => [el("h3", null, title), content];
  const panel = (title, columns, rows) =>
    part(title, el("div", { class: "panel", role: "region", "aria-label": title, tabindex: "0" },
      table(title, columns, rows)));
  $("config").replaceChildren(
    ...part("Listeners", facts([
      ["http", config.listen.http.join(", ") || "none"], ["https", config.listen.https.map((one) => `${one.address} (${[one.cert, ...one.certificates].filter(Boolean).join(", ")})`).join(", ") || "none"],
      ["trusted proxies", config.listen.trusted_proxies.join(", ") || "none"],
      ["admin", config.admin], ["control socket", config.control_socket ?? "none"], ["base domains", config.base_domains.join(", ") || "none"],
      ["default dialect", config.listen.dialect],
    ])),
    ...panel("Configured targets", [
      { title: "Name", show: (target) => target.name },
      { title: "Dialect", show: (target) => [target.dialect, ...textIf(target.profile, ` (${target.profile})`)].join("") },
      { title: "Endpoint", show: (target) => el("code", null, target.endpoint) },
      { title: "Region", show: (target) => target.region },
      { title: "Addressing", show: (target) => target.addressing },
      { title: "Signing", show: (target) => target.signing ?? "" },
      { title: "Access key", show: (target) => el("code", null, target.access_key) },
      { title: "More", show: (target) => [...textIf(target.session_token, "session token"),
        ...textIf(target.own_authorities, "own certificate authorities"),
        ...textIf(target.kms_keys, `${target.kms_keys} KMS keys`)].join(", ") },
    ], config.targets),
    ...panel("Buckets", [
      { title: "Name", show: (rule) => el("code", null, rule.name) },
      { title: "Target", show: (rule) => rule.target },
      { title: "Target bucket", show: (rule) => el("code", null, rule.target_bucket ?? "same name") },
      { title: "Unsupported", show: (rule) => rule.unsupported },
      { title: "Conditions", show: (rule) => rule.conditions },
      { title: "More", show: (rule) =>
        [...textIf(rule.relay, "relay"), ...textIf(rule.anonymous_read, "anonymous read")].join(", ") },
    ], config.buckets),
    ...panel("Callers", [
      { title: "Name", show: (caller) => caller.name },
      { title: "Access keys", show: (caller) => el("code", null, caller.access_keys.join(", ")) },
      { title: "Grants", show: (caller) =>
        caller.grants.map((grant) => `${grant.access}: ${grant.buckets.join(", ")}`).join("; ") || "none" },
      { title: "Signatures", show: (caller) => caller.signatures.join(", ") },
      { title: "More", show: (caller) => [...textIf(caller.session_token, "session token"),
        ...textIf(caller.cos_signing === "strict", "strict"),
        ...textIf(caller.requests_per_second, `${caller.requests_per_second} requests per second`),
        ...textIf(caller.concurrent_requests_max, `${caller.concurrent_requests_max} concurrent requests`)].join(", ") },
    ], config.callers),
    ...part("Limits", facts(Object.entries(config.limits).map(([name, value]) => [name, value]))),
  );
}

// Translator

const HANDLINGS = ["native", "emulated", "lost", "rejected"];

let examples = [];

function options(select, values, chosen) {
  const selected = chosen ?? select.value;
  select.replaceChildren(...values.map(([value, text]) => el("option", { value }, text)));
  if (values.some(([value]) => value === selected)) select.value = selected;
}

function chooseExample() {
  const chosen = examples[Number($("example").value)];
  if (chosen) $("request").value = chosen.request;
  return translate();
}

function offerExamples() {
  const all = examples.map((one, at) => [String(at), one.title, one.dialect]);
  const own = all.filter(([, , dialect]) => dialect === $("from").value);
  options($("example"), [...own, ["", "your own request"]], own[0]?.[0] ?? "");
}

/** Counts the requests to the translator. A response is shown only if no later request was sent. */
let translations = 0;

async function translate() {
  const translation = ++translations;
  $("lines").setAttribute("aria-busy", "true");
  // Without a target the configuration decides, as it does for the proxy.
  const to = $("to").value || undefined;
  const body = JSON.stringify({ from: $("from").value, to, request: $("request").value });
  try {
    const headers = { "content-type": "application/json" };
    const explained = await fetchJson("/api/explain", { method: "POST", headers, body });
    if (translation !== translations) return;
    showTranslation(explained);
  } catch (error) {
    if (translation !== translations) return;
    verdict(error.message, true);
    $("meaning").replaceChildren();
    $("counts").replaceChildren();
    $("lines").replaceChildren();
    $("plain").hidden = true;
    offerHeaders([]);
  }
  $("lines").setAttribute("aria-busy", "false");
}

/** Offers the headers that can be added to the request. */
function offerHeaders(lines) {
  options($("more"), [["", lines.length ? "Choose one" : "-"], ...lines.map((line) => [line, line])], "");
  $("more").disabled = lines.length === 0;
}

/** Adds a line to the head of the request, before the empty line at its end. */
function addLine(line) {
  const [head, ...rest] = $("request").value.split(/\r?\n[ \t]*(?:\r?\n|$)/);
  $("request").value = [`${head.trimEnd()}\n${line}`, ...rest].join("\n\n");
  $("example").value = "";
  return translate();
}

function verdict(text, bad) {
  $("verdict").textContent = text;
  $("verdict").className = bad ? "bad" : "";
}

function showTranslation(explained) {
  // A route with unsupported = "report" accepts a request that loses fields.
  const isLossy = explained.fields?.some((field) => field.handling === "lost");
  if (explained.rejected === null) {
    verdict(`${explained.operation} can be sent ${isLossy ? "with lost fields" : "without loss"}. Nothing was sent.`, false);
  } else if (!explained.can_be_reported) {
    verdict(`Rejected: ${explained.rejected}`, true);
  } else {
    verdict(`Rejected, unless the bucket has unsupported = "report": ${explained.rejected}`, true);
  }
  const source = explained.source && [explained.source.bucket, explained.source.key].join("/");
  $("meaning").replaceChildren(facts([
    ["operation", explained.operation], ["bucket", explained.bucket], ["key", explained.key], ["source", source],
    ["version", explained.source?.version], ["plan", explained.plan], ["configured route", explained.route],
  ].filter(([, value]) => value)));
  offerHeaders(explained.headers_to_add ?? []);
  if (!explained.request_lines) return showPlanOnly();
  const left = [...explained.target_lines];
  const counterpart = (line) => {
    const fits = left.filter((own) => line.pair !== null && own.pair === line.pair);
    const other = fits.find((own) => own.part === line.part) ?? fits[0];
    return other ? left.splice(left.indexOf(other), 1)[0] : null;
  };
  const rows = explained.request_lines.map((line) => [line, counterpart(line)]);
  const all = [...rows, ...left.map((line) => [null, line])];
  const heading = (text, document) =>
    el("th", { scope: "col", role: "columnheader" }, text, el("small", null, document));
  const handlings = all.map(([line, other]) => (line ?? other).handling);
  const counts = HANDLINGS.map((name) => [name, handlings.filter((own) => own === name).length])
    .filter(([, count]) => count);
  $("counts").replaceChildren(...counts.flatMap(([name, count]) => [badge(name, `${count} ${name}`), " "]));
  const table = { class: "lines", role: "table", "aria-label": "The request and its translation" };
  $("lines").replaceChildren(el("table", table,
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
      heading(`Request in ${$("from").value}`, explained.documents.request),
      el("th", { scope: "col", role: "columnheader", class: "mark" }, "Handling"),
      heading(`Request to ${$("to").value || "the configured target"}, unsigned`, explained.documents.target))),
    el("tbody", { role: "rowgroup" }, all.map(([line, other]) => pairRow(line, other)))));
  $("plain").hidden = explained.request === null;
  if (explained.request === null) return;
  const { method, target, host, headers, body } = explained.request;
  $("plain").querySelector("pre").textContent = [`${method} ${target} HTTP/1.1`, `host: ${host}`,
    ...headers.map((header) => `${header.name}: ${header.value}`), ...(body ? ["", body] : [])].join("\n");
}

/** A preflight or a form: the proxy does not translate it line by line. */
function showPlanOnly() {
  $("counts").replaceChildren();
  $("lines").replaceChildren();
  $("plain").hidden = true;
}

/** The handling of a line of the request, or of an added line. */
const mark = (line, other) => {
  const { handling } = line ?? other;
  return handling ? badge(handling) : badge("ends", "ends here");
};

function pairRow(line, other) {
  const text = (own) => own && el("code", { class: own.part }, own.text);
  const reason = (own) => own?.reason ? el("small", null, own.reason) : null;
  const rule = (own) => own?.rule ? el("small", { class: "rule" }, own.rule) : null;
  const pair = (line ?? other).pair;
  const row = el("tr", { role: "row", tabindex: "0" },
    el("td", { role: "cell", class: "request-line" }, text(line), reason(line), rule(line)),
    el("td", { role: "cell", class: "mark" }, mark(line, other)),
    el("td", { role: "cell", class: "target-line" }, text(other), reason(other), rule(other)));
  if (pair !== null) row.dataset.pair = pair;
  const light = (on) => () => {
    for (const same of row.parentElement?.children ?? []) {
      same.classList.toggle("lit", on && (same === row || (pair !== null && same.dataset.pair === pair)));
    }
  };
  for (const event of ["mouseenter", "focus"]) row.addEventListener(event, light(true));
  for (const event of ["mouseleave", "blur"]) row.addEventListener(event, light(false));
  return row;
}

// Polling

let paused = false;
let timer = 0;
let loaded = null;

async function tick() {
  clearTimeout(timer);
  if (paused || document.hidden) return;
  try {
    const paths = ["/api/status", "/api/copies", "/api/events"];
    const [status, copies, events] = await Promise.all(paths.map((path) => fetchJson(path)));
    remember(status);
    showTraffic(status);
    showTargets(status.targets);
    showCopies(copies.copies);
    showEvents(events.events);
    if (loaded !== status.config_loaded_timestamp_seconds) await configure();
    $("live").textContent = `${clock(status.time)} UTC`;
    $("live").className = "quiet";
  } catch (error) {
    $("live").textContent = `no response: ${error.message}`;
    $("live").className = "some";
  }
  clearTimeout(timer);
  timer = setTimeout(tick, EVERY_MS);
}

async function configure() {
  const config = await fetchJson("/api/config");
  loaded = config.loaded_timestamp_seconds;
  showConfiguration(config);
  options($("from"), config.caller_dialects.map((name) => [name, name]));
  options($("to"), [...config.dialects.map((name) => [name, name]), ["", "as configured"]]);
}

async function start() {
  try {
    await configure();
    examples = (await fetchJson("/api/examples")).examples;
    $("from").value = examples[0]?.dialect ?? $("from").value;
    $("to").value = "oss";
    offerExamples();
    await chooseExample();
  } catch (error) {
    verdict(error.message, true);
  }
  tick();
}

$("translate").addEventListener("submit", (event) => {
  event.preventDefault();
  translate();
});
$("from").addEventListener("change", () => {
  offerExamples();
  chooseExample();
});
$("to").addEventListener("change", translate);
$("example").addEventListener("change", chooseExample);
$("more").addEventListener("change", () => $("more").value && addLine($("more").value));
$("request").addEventListener("input", () => {
  $("example").value = "";
});
$("request").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) translate();
});
$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  $("pause").textContent = paused ? "Resume" : "Pause";
  tick();
});
document.addEventListener("visibilitychange", tick);
start();
