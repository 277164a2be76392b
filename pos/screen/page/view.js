// Shows the state. Everything from outside is written as text.

import { both, clock, getLanguage, lastDay, litres, points, roubles, t } from "./words.js";

const $ = id => document.getElementById(id);

function text(id, s) {
  const e = typeof id === "string" ? $(id) : id;
  if (e.textContent !== s) e.textContent = s;
}

function icon(use, name) {
  if (use.getAttribute("href") !== name) use.setAttribute("href", name);
}

export function draw(s) {
  document.documentElement.lang = getLanguage();
  document.documentElement.classList.add("drawn");
  document.title = t("title");
  for (const e of document.querySelectorAll("[data-t]")) {
    text(e, t(e.dataset.t));
  }
  header(s);
  banner(s);
  for (const p of ["ready", "typing", "customer", "message", "result"]) $("pane-" + p).hidden = s.view !== p;
  if (s.customer) customer(s.customer, !!s.status && s.status.hq.online);
  if (s.message) advice(s.message);
  if (s.result) result(s.result);
  form(s);
  sales(s);
  $("signin").hidden = !s.signin;
  text("signin-error", s.signinError ? both(s.signinError) : "");
}

// The header: what works.

function header(s) {
  const st = s.status;
  text("station", st ? st.station.name || "№ " + st.station.number : "…");
  text("counter", (s.counter ? t("counter") + " " + s.counter : "") + (st && st.programme ? (s.counter ? " · " : "") + both(st.programme.title) : ""));
  text("language-text", t("other"));
  const [tone, words] = notice(s);
  $("notice").dataset.tone = tone;
  text("notice", words);
  if (!st) return;
  const hq = !st.hq.configured ? "idle" : st.hq.online ? "good" : "care";
  chip("chip-hq", s.up ? hq : "stop", t(!s.up ? "noAnswer" : hq === "good" ? "hqOn" : hq === "care" ? "hqOff" : "hqNone"));
  const mine = scanners(s), lost = mine.find(x => !x.connected);
  chip("chip-scanner", mine.length === 0 ? "idle" : lost ? "stop" : "good", t(mine.length === 0 ? "scannerNone" : lost ? "scannerOff" : "scannerOn"));
  const n = st.unresolved_sales;
  $("chip-sales").dataset.tone = left(st) ? "care" : "idle";
  text("chip-sales-text", t("sales", n));
}

// left tells a sale that has been open for longer than fuel flows.
function left(st) {
  return !!st.unresolved_since && new Date(st.now) - new Date(st.unresolved_since) > 15 * 60000;
}

function scanners(s) {
  return s.status.scanners.filter(x => !s.counter || x.counter === s.counter);
}

function chip(id, tone, words) {
  $(id).dataset.tone = tone;
  icon($(id).querySelector("use"), tone === "good" ? "#i-yes" : tone === "idle" ? "#i-time" : "#i-no");
  text(id + "-text", words);
}

// notice is the one thing to know now: the worst first.
function notice(s) {
  const st = s.status;
  if (!st) return ["idle", t("loading")];
  if (!s.up) return ["stop", t("gone")];
  if (st.ledger.failed) return ["stop", t("failed")];
  if (st.ledger.full) return ["stop", t("fullDisk")];
  if (!st.programme) return ["stop", t("noProgramme")];
  if (!st.cards_configured && scanners(s).length) return ["stop", t("noCards")];
  const lost = scanners(s).find(x => !x.connected);
  if (lost) return ["stop", t("scannerGone", lost.name)];
  if (st.ledger.frozen) return ["care", t("frozen")];
  if (st.hq.configured && !st.hq.online) return ["care", t("offline", st.hq.since ? clock(st.hq.since) : "", st.hq.backlog_entries)];
  if (st.clock === "behind" || st.clock === "ahead") return ["care", t("clock")];
  if (left(st)) return ["care", t("unresolved")];
  return ["idle", t("fine")];
}

// The left side: who is there.

function banner(s) {
  const [tone, name, head, sub] = headline(s);
  $("who").dataset.tone = tone;
  icon($("banner-icon"), name);
  text("headline", head);
  text("subline", sub);
}

function headline(s) {
  const programme = s.status && s.status.programme ? both(s.status.programme.title) : "";
  switch (s.view) {
    case "loading": return ["calm", "#i-time", t("loading"), ""];
    case "typing": return ["calm", "#i-card", t("typing"), t("typingSub")];
    case "customer": {
      const c = s.customer;
      if (!c.known) return ["care", "#i-plus", t("unknownMay"), t("unknownMaySub")];
      if (c.redeem_refused) return ["care", "#i-plus", t("accrueOnly"), programme];
      return ["good", "#i-ok", t("full"), programme];
    }
    case "message": {
      const m = s.message;
      if (m.kind === "reject") return ["care", "#i-ask", t("rejected"), t("offer")];
      if (m.kind === "noread") return ["care", "#i-ask", t("noread"), t("offer")];
      if (m.kind === "unknown") return ["care", "#i-ask", m.text ? both(m.text) : t("refused"), programme];
      if (m.kind === "stop") return ["stop", "#i-stop", m.text ? both(m.text) : t("refused"), t("nothing")];
      return ["stop", "#i-warn", t("refused"), m.text ? both(m.text) : t("busyAnswer")];
    }
    case "result": {
      const r = s.result;
      if (r.state === "void") return ["calm", "#i-no", t("voided"), r.card_masked];
      if (r.state === "open") return ["calm", "#i-time", t("opened"), t("openedSub")];
      return ["good", "#i-ok", t("closed"), r.card_masked];
    }
    default: return ["calm", "#i-card", t("ready"), t("readySub")];
  }
}

// customer shows first what may be redeemed at this moment; where nothing may, what there is.
function customer(c, online) {
  const none = !!c.redeem_refused, offline = !none && !online && c.redeemable_points_x100 < c.available_points_x100;
  const first = none ? c.total_points_x100 : c.redeemable_points_x100;
  const second = none ? c.available_points_x100 : c.total_points_x100;
  const figure = x => c.known ? points(x) : "—";
  text("available-label", none ? t("total") : t(offline ? "availableOff" : "available") + ", " + t("points"));
  $("available").dataset.empty = String(!c.known);
  text("available", figure(first));
  text("total-label", t(none ? "activeNow" : "total"));
  text("total", figure(second));
  text("pending", figure(Math.max(0, c.total_points_x100 - c.available_points_x100)));
  may("may-accrue", true, t("mayAccrue"));
  may("may-redeem", !none, !c.known ? t("redeemLater") : none ? both(c.redeem_refused) : t("mayRedeem", points(c.redeemable_points_x100)));
  more("tier", c.tier && tier(c.tier));
  const goes = c.expiring[0];
  more("expiring", goes && t("expiring", points(goes.amount_points_x100), lastDay(goes.expires)));
  more("debt", c.debt_points_x100 > 0 && t("debt", points(c.debt_points_x100)));
  text("card-masked", c.card_masked);
  text("as-of", !c.known ? t("noData") : c.fresh ? t("fresh") : c.as_of ? t("asOf", clock(c.as_of)) : t("noData"));
}

// more is a line that is there only where there is something to say.
function more(id, words) {
  $(id).hidden = !words;
  text(id, words || "");
}

// tier says where the customer stands, and how far the next tier is.
function tier(x) {
  if (!x.next) return t("tier", both(x.title));
  return t("tierNext", both(x.title), x.unit === "litres" ? litres(x.need) : roubles(x.need), both(x.next));
}

function may(id, yes, words) {
  $(id).dataset.tone = yes ? "good" : "care";
  icon($(id).querySelector("use"), yes ? "#i-yes" : "#i-no");
  text($(id).querySelector("span"), words);
}

function advice(m) {
  const key = { reject: "rejectAdvice", noread: "noreadAdvice", stop: "blockedAdvice", unknown: "unknownAdvice" }[m.kind] || "refusedAdvice";
  text("advice", t(key));
  text("message-card", m.card || "");
}

function result(r) {
  const open = r.state === "open", gone = r.state === "void";
  text("earned-label", t(open ? "willAccrue" : "accrued"));
  text("earned", gone ? "—" : points(r.quote.earn_points_x100));
  text("redeemed-label", t(open ? "reserved" : gone ? "returned" : "redeemed"));
  text("redeemed", points(open || gone ? r.reserved_points_x100 : r.quote.redeem_points_x100));
  text("result-pay-label", t("toPay"));
  text("result-pay", gone ? "—" : roubles(r.quote.pay_kopecks));
  text("receipt-text", r.receipt_text);
}

// The right side: the sale.

function form(s) {
  const c = s.view === "customer" ? s.customer : null;
  $("sale-fields").disabled = !c || s.busy || !s.up;
  $("redeem").disabled = $("max").disabled = !c || !!c.redeem_refused;
  choices("fuels", s.status ? s.status.fuels : [], s.fuel);
  for (const b of $("tenders").children) b.setAttribute("aria-checked", String(b.dataset.tender === s.tender));
  keys();
  const q = s.quote;
  text("q-earn", q ? points(q.earn_points_x100) : "—");
  text("q-max", q ? points(q.max_redeem_points_x100) : s.max !== null ? points(s.max) : "—");
  text("q-pay", q ? roubles(q.pay_kopecks) : "—");
  text("q-why", s.retrying ? t("retryingWhy") : s.why ? both(s.why) : "");
  $("done-customer").disabled = s.busy;
  $("go").disabled = !q;
  text("go-text", label(s, q));
}

function label(s, q) {
  if (s.retrying) return t("retrying");
  if (s.busy) return t("going");
  if (!q) return t("go");
  if (q.redeem_points_x100) return t("goRedeem", points(q.redeem_points_x100), q.earn_points_x100 ? points(q.earn_points_x100) : "");
  return t("goAccrue", points(q.earn_points_x100));
}

function choices(id, list, chosen) {
  const box = $(id);
  if (box.dataset.list !== list.join("\n")) {
    box.dataset.list = list.join("\n");
    box.replaceChildren(...list.map(f => button(f, { fuel: f }, "radio")));
  }
  for (const b of box.children) b.setAttribute("aria-checked", String(b.dataset.fuel === chosen));
}

function keys() {
  const box = $("keys"), comma = getLanguage() === "ru" ? "," : ".";
  if (!box.children.length) {
    for (const k of ["7", "8", "9", "4", "5", "6", "1", "2", "3", ",", "0", "erase"]) box.append(button(k, { key: k }));
  }
  for (const b of box.children) {
    if (b.dataset.key === "erase") {
      text(b.firstChild, "⌫");
      b.setAttribute("aria-label", t("erase"));
    } else if (b.dataset.key === "," || b.dataset.key === ".") {
      b.dataset.key = comma;
      text(b.firstChild, comma);
      b.setAttribute("aria-label", t("comma"));
    }
  }
}

function button(words, data, role) {
  const b = document.createElement("button"), span = document.createElement("span");
  b.type = "button";
  if (role) b.setAttribute("role", role);
  Object.assign(b.dataset, data);
  span.textContent = words;
  b.append(span);
  return b;
}

// Unresolved sales.

function sales(s) {
  $("sales").hidden = !s.sales;
  if (!s.sales) return;
  const rows = s.sales.map(x => {
    const row = document.createElement("div"), what = document.createElement("div"), a = document.createElement("strong"), b = document.createElement("span");
    row.className = "row";
    a.textContent = clock(x.opened_at) + " · " + roubles(x.quote.total_kopecks);
    b.textContent = [x.card_masked, t("reservedFor", points(x.reserved_points_x100)), x.cashier, x.id].filter(Boolean).join(" · ");
    what.append(a, b);
    row.append(what);
    for (const [outcome, key] of [["closed", "paid"], ["void", "neverWas"]]) {
      const sure = s.sure === x.id + outcome;
      const act = button(sure ? t("sure") : t(key), { id: x.id, outcome });
      act.className = sure ? "sure" : "plain";
      row.append(act);
    }
    return row;
  });
  if (!rows.length) {
    const none = document.createElement("p");
    none.textContent = t("none");
    rows.push(none);
  }
  $("sales-rows").replaceChildren(...rows);
  text("sales-error", s.salesError ? both(s.salesError) : "");
}
