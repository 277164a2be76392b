// The words of the page in its two languages, and how numbers and times are written in them. The sentences of refusals
// come from the API with both languages.

const words = {
  ru: {
    title: "Лояльность", counter: "касса", other: "EN",
    hqOn: "Центр на связи", hqOff: "Нет связи с центром", hqNone: "Работа без центра", noAnswer: "Нет ответа",
    scannerOn: "Сканер", scannerOff: "Сканер отключён", scannerNone: "Без сканера", sales: n => "Незакрытые: " + n,
    loading: "Загрузка…", ready: "Отсканируйте карту", readySub: "Карту или QR-код из приложения", typeCard: "Ввести номер карты",
    cardNumber: "Номер карты", find: "Найти", back: "Назад", another: "Другая карта", next: "Следующий покупатель",
    typing: "Номер карты", typingSub: "Если карта не считывается",
    full: "Начислить и списать", accrueOnly: "Только начисление", nothing: "Обслуживание невозможно",
    unknownMay: "Карта пока не известна", unknownMaySub: "Начисление работает", redeemLater: "Списание пока невозможно",
    available: "Доступно для списания", availableOff: "Можно списать сейчас, без связи", points: "баллов",
    total: "Всего баллов", activeNow: "Из них активны", pending: "Ещё не активны или заняты",
    mayAccrue: "Начисление", mayRedeem: s => "Списание до " + s,
    tier: s => "Уровень: " + s, tierNext: (s, n, next) => "Уровень: " + s + ". До уровня «" + next + "»: " + n,
    expiring: (n, day) => "После " + day + " сгорит баллов: " + n, debt: n => "Будет удержано из начислений: " + n,
    fresh: "по данным центра сейчас", asOf: s => "по данным на " + s, noData: "данных центра ещё нет",
    refused: "Отказано", rejected: "Это не карта программы", noread: "Не считалось", offer: "Попробуйте ещё раз",
    rejectAdvice: "Отсканируйте карту лояльности или QR-код из приложения.", noreadAdvice: "Поднесите карту ещё раз. Если не выходит, введите номер: F2.",
    refusedAdvice: "Баллы не изменились. Проверьте данные и повторите, или проведите чек без карты.",
    blockedAdvice: "Продажа возможна без карты. Покупателю: позвонить в поддержку программы.",
    unknownAdvice: "Продажа возможна без карты.",
    sale: "Чек", cash: "Наличные", cashless: "Безналичные", litres: "Литры", amount: "Сумма, ₽", redeem: "Списать баллов", max: "Макс.",
    willEarn: "Начислим", mayRedeem2: "Можно списать", toPay: "К оплате", erase: "Стереть", comma: "Запятая",
    go: "Провести чек", goAccrue: s => "Начислить " + s, goRedeem: (r, e) => "Списать " + r + (e ? ", начислить " + e : ""), going: "Проводим…",
    retrying: "Повторяем чек…", retryingWhy: "Ответа нет. Повторяем тот же чек, он будет проведён один раз.",
    closed: "Чек закрыт", opened: "Чек открыт", voided: "Чек отменён", openedSub: "Баллы зарезервированы до закрытия чека",
    accrued: "Начислено", redeemed: "Списано", willAccrue: "Начислим", reserved: "Зарезервировано", returned: "Возвращено",
    openSales: "Незакрытые чеки", openSalesHelp: "Сверьте с кассой. Был оплачен: закройте чек. Не было продажи: отмените его.",
    none: "Незакрытых чеков нет", paid: "Был оплачен", neverWas: "Не было", sure: "Точно?", reservedFor: s => "резерв " + s,
    signIn: "Вход", signInHelp: "Техник: выполните на этом компьютере команду и введите код, который она покажет.", code: "Код", enter: "Войти",
    gone: "Программа на этом компьютере не отвечает. Ждём, связь восстановится сама.",
    failed: "Ошибка диска: чеки не проводятся. Позовите техника.", fullDisk: "Диск переполнен: списание остановлено. Позовите техника.",
    frozen: "Списание временно остановлено на этой АЗС. Начисление работает.", noProgramme: "Программа ещё не получена из центра. Позовите техника.",
    noCards: "Карты сети не настроены: ни одна карта не узнаётся. Позовите техника.",
    scannerGone: s => "Сканер «" + s + "» отключён: проверьте кабель. Номер можно ввести вручную: F2.",
    offline: (t, n) => "Нет связи с центром" + (t ? " с " + t : "") + ". Начисление работает, списание: только в пределах запаса АЗС." + (n ? " Ждут отправки: " + n + "." : ""),
    clock: "Часы этого компьютера неверны. Позовите техника.", unresolved: "Есть незакрытые чеки. Проверьте их: F4.", fine: "Всё работает",
    manual: "номер карты введён на экране кассира", voidReason: "кассир: продажи не было", busyAnswer: "Нет ответа. Повторите.",
  },
  en: {
    title: "Loyalty", counter: "counter", other: "РУ",
    hqOn: "HQ connected", hqOff: "No connection to HQ", hqNone: "Working without HQ", noAnswer: "No answer",
    scannerOn: "Scanner", scannerOff: "Scanner is gone", scannerNone: "No scanner", sales: n => "Unresolved: " + n,
    loading: "Loading…", ready: "Scan a card", readySub: "The card, or the QR code in the app", typeCard: "Type a card number",
    cardNumber: "Card number", find: "Find", back: "Back", another: "Another card", next: "Next customer",
    typing: "Card number", typingSub: "When the card cannot be read",
    full: "Accrue and redeem", accrueOnly: "Accrue only", nothing: "Cannot be served",
    unknownMay: "The card is not known yet", unknownMaySub: "Accruing works", redeemLater: "Redeeming is not possible yet",
    available: "Available to redeem", availableOff: "Can be redeemed now, offline", points: "points",
    total: "Total points", activeNow: "Of them active", pending: "Not active yet, or in use",
    mayAccrue: "Accrue", mayRedeem: s => "Redeem up to " + s,
    tier: s => "Level: " + s, tierNext: (s, n, next) => "Level: " + s + ". To “" + next + "”: " + n,
    expiring: (n, day) => n + " points expire after " + day, debt: n => "To be taken from what is earned next: " + n,
    fresh: "by headquarters, just now", asOf: s => "as of " + s, noData: "nothing from headquarters yet",
    refused: "Refused", rejected: "Not a card of this programme", noread: "Could not be read", offer: "Try again",
    rejectAdvice: "Scan the loyalty card, or the QR code in the app.", noreadAdvice: "Present the card again. If that fails, type its number: F2.",
    refusedAdvice: "No points were changed. Check what was entered and try again, or sell without the card.",
    blockedAdvice: "The sale is possible without the card. The customer should call the programme's support.",
    unknownAdvice: "The sale is possible without the card.",
    sale: "Sale", cash: "Cash", cashless: "Cashless", litres: "Litres", amount: "Amount, ₽", redeem: "Redeem points", max: "Max",
    willEarn: "Will earn", mayRedeem2: "May redeem", toPay: "To pay", erase: "Erase", comma: "Decimal point",
    go: "Record the sale", goAccrue: s => "Accrue " + s, goRedeem: (r, e) => "Redeem " + r + (e ? ", accrue " + e : ""), going: "Recording…",
    retrying: "Repeating…", retryingWhy: "No answer. Repeating the same sale; it will be recorded once.",
    closed: "Sale closed", opened: "Sale opened", voided: "Sale void", openedSub: "The points are reserved until it is closed",
    accrued: "Accrued", redeemed: "Redeemed", willAccrue: "Will earn", reserved: "Reserved", returned: "Given back",
    openSales: "Unresolved sales", openSalesHelp: "Compare with the register. If it was paid, close it. If it never happened, void it.",
    none: "There are no unresolved sales", paid: "Was paid", neverWas: "Never was", sure: "Sure?", reservedFor: s => "reserved " + s,
    signIn: "Sign in", signInHelp: "Technician: run this command on this computer and type the code it prints.", code: "Code", enter: "Sign in",
    gone: "The program on this computer does not answer. Please wait, it will come back by itself.",
    failed: "Disk error: no sale can be recorded. Call the technician.", fullDisk: "The disk is full: redeeming is stopped. Call the technician.",
    frozen: "Redeeming is suspended at this station. Accruing works.", noProgramme: "No programme has come from headquarters yet. Call the technician.",
    noCards: "The network's cards are not configured: no card is recognised. Call the technician.",
    scannerGone: s => "Scanner “" + s + "” is gone: check its cable. A number can be typed: F2.",
    offline: (t, n) => "No connection to headquarters" + (t ? " since " + t : "") + ". Accruing works, redeeming only as far as this station may." + (n ? " Waiting to be sent: " + n + "." : ""),
    clock: "This computer's clock is wrong. Call the technician.", unresolved: "There are unresolved sales. Check them: F4.", fine: "All is well",
    manual: "card number typed in at the cashier's page", voidReason: "cashier: the sale never happened", busyAnswer: "No answer. Try again.",
  },
};

let language = "ru";

export function setLanguage(l) {
  language = words[l] ? l : "ru";
}

export function getLanguage() {
  return language;
}

// t is a word; where the word depends on something, that is passed on.
export function t(key, ...args) {
  const w = words[language][key];
  return typeof w === "function" ? w(...args) : w;
}

// both picks the language of a sentence that the API sent in both.
export function both(text) {
  return text[language] || text.ru || "";
}

function locale() {
  return language === "ru" ? "ru-RU" : "en-GB";
}

// points writes hundredths of a point.
export function points(x100) {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: 2 }).format(x100 / 100);
}

// roubles writes kopecks.
export function roubles(kopecks) {
  return new Intl.NumberFormat(locale(), { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(kopecks / 100) + " ₽";
}

// litres writes millilitres.
export function litres(ml) {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: 1 }).format(Math.ceil(ml / 100) / 10) + (language === "ru" ? " л" : " l");
}

let offset = 0; // of the station's clock from UTC, in milliseconds

// setZone takes the station's zone from a moment as the station writes it. The browser's own zone may be another.
export function setZone(iso) {
  const m = /([+-])(\d\d):(\d\d)$/.exec(iso);
  offset = m ? (m[1] + "1") * (m[2] * 60 + +m[3]) * 60000 : 0;
}

// clock writes a moment by the station's clock: the time of today, the day and the time of another.
export function clock(iso) {
  const utc = new Date(iso);
  if (isNaN(utc)) return "";
  const at = new Date(utc.getTime() + offset), today = new Date(Date.now() + offset); // UTC stands for the station's zone
  const time = at.toLocaleTimeString(locale(), { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
  if (at.toISOString().slice(0, 10) === today.toISOString().slice(0, 10)) return time;
  return at.toLocaleDateString(locale(), { day: "2-digit", month: "2-digit", timeZone: "UTC" }) + " " + time;
}

// lastDay writes the last day, by the station's clock, before a moment at which something is gone.
export function lastDay(iso) {
  const at = new Date(new Date(iso).getTime() + offset - 1);
  return isNaN(at) ? "" : at.toLocaleDateString(locale(), { day: "2-digit", month: "2-digit", year: "numeric", timeZone: "UTC" });
}

// parse reads what was typed as an integer of 10^-digits units; NaN for anything that is not such a number.
export function parse(typed, digits) {
  const m = /^(\d{0,9})(?:[.,](\d*))?$/.exec(typed.trim());
  if (!m || (m[1] === "" && !m[2])) return NaN;
  const fraction = m[2] || "";
  if (fraction.length > digits) return NaN;
  return Number(m[1] || "0") * Math.pow(10, digits) + Number(fraction.padEnd(digits, "0") || "0");
}
