// The page's state and what changes it: events, keys, touches and answers. view.js shows the state.

import { call, Events, Refused, sale, saleID, uncertain } from "./desk.js";
import { draw } from "./view.js";
import { getLanguage, parse, setLanguage, setZone, t } from "./words.js";

const counter = new URLSearchParams(location.search).get("counter") || "";
const $ = id => document.getElementById(id);

// What the page knows. Only this file changes it.
const state = {
  view: "loading", // loading ready typing customer message result
  signin: false, signinError: null,
  up: false, // the stream of events is there
  status: null,
  counter,
  customer: null,
  typed: false, // the card's number was typed in
  scan: "", // the moment of the scan that is on the screen; empty: none is
  seen: "", // the moment of the last scan
  message: null, // {kind: refused|reject|noread|stop|unknown, text, card, back}
  result: null, // a sale
  fuel: "", tender: "cash", quote: null, why: null,
  max: null, // what may be redeemed where more was wished
  busy: false, retrying: false,
  sales: null, salesError: null, sure: "",
};

const pendingKey = "azs-sale-" + (counter || "all");
const show = () => draw(state);

// Leaving a customer or a result on the screen for long would show a balance to the next in the queue.
let idle = 0;
function view(name) {
  state.view = name;
  clearTimeout(idle);
  if (name !== "ready" && name !== "loading" && !state.busy) idle = setTimeout(ready, name === "customer" ? 180000 : 60000);
}

function ready() {
  if (state.busy) return;
  clear();
  view("ready");
  show();
}

function clear() {
  state.customer = state.message = state.result = state.quote = state.why = state.max = null;
  state.typed = false;
  state.scan = "";
  for (const id of ["litres", "amount", "redeem", "card-number"]) $(id).value = "";
}

function message(kind, text, card) {
  clear();
  state.message = { kind, text: text || null, card };
  view("message");
  show();
}

// Status and events.

const events = new Events("/v1/events" + (counter ? "?counter=" + encodeURIComponent(counter) : ""), {
  up() { state.up = true; refresh(); },
  down() { state.up = false; show(); refresh(); },
  event(name, data) {
    if (name === "scan") return scanned(data);
    if (name === "sale") told(data.sale);
    refresh();
  },
});

let asking = false, again = false;
function refresh() {
  if (asking) { again = true; return; }
  asking = true;
  call("GET", "/v1/status").then(s => {
    state.status = s;
    setZone(s.now);
    if (!state.fuel) state.fuel = s.fuels[Math.min(1, s.fuels.length - 1)] || "";
    if (state.signin) { state.signin = false; events.open(); }
    if (state.view === "loading") { view("ready"); resume(); }
  }, err => {
    if (err instanceof Refused && err.code === "unauthorized") { state.signin = true; events.close(); }
  }).then(() => {
    asking = false;
    show();
    if (again) { again = false; refresh(); }
  });
}

// scanned shows a scan. The same scan is told again when headquarters' word on it comes late: then nothing that has been
// typed is lost, and what the cashier has dealt with does not come back.
function scanned(scan) {
  const again = scan.at === state.seen;
  if (state.busy || (again && state.scan !== scan.at)) return;
  state.seen = scan.at;
  if (scan.outcome === "customer" && again && renew(scan.customer)) return;
  if (scan.outcome === "customer") present(scan.customer, false);
  else if (scan.outcome === "refused") message(scan.refusal && scan.refusal.code === "unknown_card" ? "unknown" : "refused", scan.refusal, scan.card_masked);
  else message(scan.outcome);
  state.scan = scan.at;
}

// renew takes in newer word on the customer who is on the screen.
function renew(customer) {
  if (!state.customer || state.customer.card !== customer.card || customer.accrue_refused) return false;
  state.customer = customer;
  if (customer.redeem_refused) $("redeem").value = "";
  quoteSoon();
  return true;
}

function present(customer, typed) {
  clear();
  if (customer.accrue_refused) {
    state.message = { kind: "stop", text: customer.accrue_refused, card: customer.card_masked };
    view("message");
  } else {
    state.customer = customer;
    state.typed = typed;
    view("customer");
  }
  show();
  if (state.customer) $("litres").focus();
}

// told shows a sale that the register made; our own is shown by its answer.
function told(s) {
  if (state.busy || s.id.indexOf("page-") === 0 || state.sales) return;
  if (state.view === "customer" && (s.card !== state.customer.card || $("litres").value || $("amount").value)) return;
  clear();
  state.result = s;
  view("result");
  show();
}

// A card typed in.

function typing() {
  if (state.busy) return;
  clear();
  view("typing");
  show();
  $("card-number").focus();
}

function find() {
  const card = $("card-number").value.replace(/[\s]/g, "");
  if (!card) return;
  call("POST", "/v1/identify", { card, counter: counter || undefined }).then(c => present(c, true), err => {
    if (err instanceof Refused && err.status < 500) message(err.code === "unknown_card" ? "unknown" : "refused", err.text);
    else message("refused", err instanceof Refused ? err.text : null);
  });
}

// The sale on the page.

function receipt() {
  const ml = parse($("litres").value, 3), kopecks = parse($("amount").value, 2);
  if (!(ml > 0) || !(kopecks > 0) || !state.fuel) return null;
  return { tender: state.tender, lines: [{ kind: "fuel", code: state.fuel, volume_ml: ml, amount_kopecks: kopecks }] };
}

function wished() {
  return $("redeem").value.trim() === "" ? 0 : parse($("redeem").value, 2);
}

let quoting = 0, quoted = 0;
function quoteSoon() {
  clearTimeout(quoting);
  state.quote = state.max = null;
  const r = receipt(), redeem = wished();
  if (!state.customer || !r || isNaN(redeem)) { state.why = null; show(); return; }
  const turn = ++quoted;
  quoting = setTimeout(() => {
    const body = { card: state.customer.card, receipt: r, redeem_points_x100: redeem };
    call("POST", "/v1/quote", body).then(q => {
      if (turn !== quoted) return;
      state.quote = q;
      state.why = null;
      show();
    }, err => {
      if (turn !== quoted) return;
      state.why = err instanceof Refused ? err.text : { ru: t("busyAnswer"), en: t("busyAnswer") };
      show();
      if (!redeem || !(err instanceof Refused)) return;
      call("POST", "/v1/quote", { card: body.card, receipt: r }).then(q => {
        if (turn !== quoted) return;
        state.max = q.max_redeem_points_x100;
        show();
      }, () => {}); // the refusal is on the screen already
    });
  }, 200);
  show();
}

// most puts the most that may be redeemed into its field.
function most() {
  const r = receipt();
  if (!r || !state.customer || state.customer.redeem_refused) return;
  call("POST", "/v1/quote", { card: state.customer.card, receipt: r }).then(q => {
    $("redeem").value = q.max_redeem_points_x100 ? String(q.max_redeem_points_x100 / 100).replace(".", ",") : "";
    quoteSoon();
  }, () => quoteSoon());
}

function go() {
  const r = receipt(), redeem = wished();
  if (state.busy || !state.customer || !r || !state.quote || isNaN(redeem)) return;
  const body = { card: state.customer.card, receipt: r, redeem_points_x100: redeem };
  if (state.typed) body.manual_reason = t("manual");
  if (counter) body.counter = counter;
  send({ id: saleID(), body });
}

// send repeats a sale until its outcome is known. It is noted first, so that neither a reload of the page nor a restart
// of the agent leaves it in doubt: the id makes sure that it is recorded once.
function send(pending) {
  sessionStorage.setItem(pendingKey, JSON.stringify(pending));
  state.busy = true;
  clearTimeout(idle);
  show();
  call("POST", sale(pending.id, "close"), pending.body).then(s => {
    settle();
    clear();
    state.result = s;
    view("result");
    show();
  }, err => {
    if (err instanceof Refused && err.code === "unauthorized") { state.signin = true; events.close(); }
    if (uncertain(err) || state.signin) {
      state.retrying = true;
      setTimeout(() => send(pending), 2000);
      return show();
    }
    settle();
    const kept = state.customer;
    state.message = { kind: "refused", text: err.text, back: kept };
    view("message");
    show();
  });
}

function settle() {
  sessionStorage.removeItem(pendingKey);
  state.busy = state.retrying = false;
}

function resume() {
  const noted = sessionStorage.getItem(pendingKey);
  if (noted) send(JSON.parse(noted));
}

// Sales that nobody closed.

function listSales() {
  call("GET", "/v1/sales?state=open").then(l => {
    state.sales = l.sales;
    show();
  }, () => refresh());
}

function openSales() {
  state.sales = [];
  state.salesError = null;
  state.sure = "";
  show();
  $("sales-back").focus();
  listSales();
}

function closeSales() {
  state.sales = null;
  show();
}

// resolve settles a sale, after the second touch.
function resolve(id, outcome) {
  if (state.sure !== id + outcome) { state.sure = id + outcome; return show(); }
  state.sure = "";
  state.salesError = null;
  const body = { outcome, counter: counter || undefined };
  const step = outcome === "void"
    ? Promise.resolve(Object.assign(body, { reason: t("voidReason") }))
    : call("GET", sale(id)).then(s => Object.assign(body, { receipt: s.receipt, redeem_points_x100: s.reserved_points_x100 }));
  step.then(b => call("POST", sale(id, "resolve"), b)).catch(err => {
    state.salesError = err instanceof Refused ? err.text : { ru: t("busyAnswer"), en: t("busyAnswer") };
  }).then(listSales);
}

// Signing in.

function signIn(code) {
  state.signinError = null;
  return call("POST", "/v1/session", { code }).then(() => { $("code").value = ""; state.signin = true; refresh(); }, err => {
    state.signin = true;
    state.signinError = err instanceof Refused ? err.text : { ru: t("busyAnswer"), en: t("busyAnswer") };
    show();
  });
}

// Keys and touches.

function back() {
  if (state.sales) return closeSales();
  if (state.message && state.message.back) {
    state.customer = state.message.back;
    state.message = null;
    view("customer");
    show();
    $("amount").focus();
    return;
  }
  ready();
}

let field = null; // where the keys on the screen type
function press(key) {
  const f = field && !field.closest("[hidden]") && !field.disabled ? field : state.view === "typing" ? $("card-number") : $("litres");
  if (f.disabled) return;
  f.focus();
  const [from, to] = [f.selectionStart, f.selectionEnd];
  if (key === "erase") f.setRangeText("", from === to ? Math.max(0, from - 1) : from, to, "end");
  else if (f.value.length - (to - from) < f.maxLength) f.setRangeText(key, from, to, "end");
  f.dispatchEvent(new Event("input", { bubbles: true }));
}

function choose(name, value) {
  state[name] = value;
  show();
  quoteSoon();
}

function listen() {
  const on = (id, what) => $(id).addEventListener("click", what);
  on("type-card", typing);
  for (const id of ["typing-back", "done-customer", "done-message", "done-result"]) on(id, back);
  on("chip-sales", openSales);
  on("sales-back", closeSales);
  on("max", most);
  on("language", switchLanguage);
  $("keys").addEventListener("pointerdown", e => e.preventDefault()); // the field keeps the focus
  $("keys").addEventListener("click", e => { const b = e.target.closest("button"); if (b) press(b.dataset.key); });
  $("fuels").addEventListener("click", e => { const b = e.target.closest("button"); if (b) choose("fuel", b.dataset.fuel); });
  $("tenders").addEventListener("click", e => { const b = e.target.closest("button"); if (b) choose("tender", b.dataset.tender); });
  $("sales-rows").addEventListener("click", e => { const b = e.target.closest("button"); if (b) resolve(b.dataset.id, b.dataset.outcome); });
  $("pane-typing").addEventListener("submit", e => { e.preventDefault(); find(); });
  $("sale").addEventListener("submit", e => { e.preventDefault(); enter(); });
  $("signin-form").addEventListener("submit", e => { e.preventDefault(); signIn($("code").value.trim()); });
  for (const id of ["litres", "amount", "redeem"]) $(id).addEventListener("input", quoteSoon);
  document.addEventListener("focusin", e => { if (e.target.matches("main input")) { field = e.target; field.select(); } });
  document.addEventListener("keydown", hotkey);
}

// enter goes on to the next empty field, and from the last one records the sale.
function enter() {
  if (state.quote && receipt()) return go();
  const next = ["litres", "amount"].map($).find(f => !f.value);
  if (next) next.focus();
}

function hotkey(e) {
  const act = { F2: typing, F4: openSales, F8: most, F9: switchLanguage, Escape: back }[e.key];
  if (!act || e.ctrlKey || e.altKey || e.metaKey || (state.signin && e.key !== "F9")) return;
  if (state.sales && e.key !== "Escape" && e.key !== "F9") return;
  e.preventDefault();
  act();
}

function switchLanguage() {
  setLanguage(getLanguage() === "ru" ? "en" : "ru");
  localStorage.setItem("azs-language", getLanguage());
  show();
}

function start() {
  setLanguage(localStorage.getItem("azs-language") || "ru");
  listen();
  show();
  const code = /^#code=([\w-]+)$/.exec(location.hash);
  if (code) history.replaceState(null, "", location.pathname + location.search);
  (code ? signIn(code[1]) : Promise.resolve()).then(() => { if (!state.signin) events.open(); refresh(); });
  setInterval(refresh, 30000);
}

start();
