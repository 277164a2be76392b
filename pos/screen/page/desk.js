// Calls to the API and its events.

const patience = 10000; // ms until a call is given up

// Refused is an answer that is a refusal: code, and message in both languages.
export class Refused extends Error {
  constructor(problem) {
    super(problem.code);
    this.code = problem.code;
    this.status = problem.status;
    this.text = problem.message || { ru: problem.code, en: problem.code };
  }
}

// call gives the answer's body; it fails with Refused, or with another error where there was no answer.
export function call(method, path, body) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), patience);
  const init = { method, signal: abort.signal, credentials: "same-origin", cache: "no-store", headers: {} };
  if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  return fetch(path, init)
    .then(res => res.status === 204 ? null : res.json().then(v => {
      if (!res.ok) throw new Refused(v);
      return v;
    }))
    .then(v => { clearTimeout(timer); return v; }, err => { clearTimeout(timer); throw err; });
}

// uncertain tells an outcome that is not known: the same call must be repeated.
export function uncertain(err) {
  return !(err instanceof Refused) || ["storage_failed", "internal", "busy", "too_slow"].indexOf(err.code) >= 0;
}

// saleID is a new name for a sale.
export function saleID() {
  const b = crypto.getRandomValues(new Uint8Array(12));
  return "page-" + Array.from(b, x => x.toString(16).padStart(2, "0")).join("");
}

// sale is the path of a sale.
export function sale(id, step) {
  return "/v1/sales/" + encodeURIComponent(id) + (step ? "/" + step : "");
}

// Events follows the stream for ever. A browser reconnects by itself where the connection breaks, but gives up where it
// is refused: then we ask again.
export class Events {
  constructor(path, handlers) {
    this.path = path;
    this.handlers = handlers;
    this.source = null;
    this.timer = 0;
  }

  open() {
    clearTimeout(this.timer);
    if (this.source) this.source.close();
    const s = this.source = new EventSource(this.path);
    s.onopen = () => this.handlers.up();
    s.onerror = () => {
      this.handlers.down();
      if (s.readyState === EventSource.CLOSED) this.timer = setTimeout(() => this.open(), 2000);
    };
    for (const name of ["scan", "scanner", "hq", "sale", "status", "reset"]) {
      s.addEventListener(name, e => this.handlers.event(name, JSON.parse(e.data)));
    }
  }

  close() {
    clearTimeout(this.timer);
    if (this.source) this.source.close();
    this.source = null;
  }
}
