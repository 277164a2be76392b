package loyalty

import (
	"errors"
	"slices"
)

// Refusal is a stable code for why something was refused. It is an error, compared with errors.Is; the same code stands
// in the API, in the log and in the journal. The cashier's words for it come from [Words]. A refusal changes nothing
// and does not use up the id of what was asked.
type Refusal string

// The refusals. A code never changes its meaning once published.
const (
	BadRequest    Refusal = "bad_request"     // the request is not well-formed
	NotACard      Refusal = "not_a_card"      // the number is no card of the network: mistyped, or a bank card's
	UnknownCard   Refusal = "unknown_card"    // the station does not know the card, and the programme says refuse
	CardBlocked   Refusal = "card_blocked"    // card or account is blocked
	CardClosed    Refusal = "card_closed"     // card or account is closed for good
	StaffCard     Refusal = "staff_card"      // staff cards are not accepted at the counter
	AccrueOnly    Refusal = "accrue_only"     // card or account may only accrue
	RedeemOff     Refusal = "redeem_off"      // redeeming is not switched on for this card: its owner or headquarters does that
	NotEnough     Refusal = "not_enough"      // fewer points are available than asked for
	OverLimit     Refusal = "over_limit"      // more than the programme lets this receipt redeem
	NoRights      Refusal = "no_rights"       // HQ cannot be reached and the station holds no rights for so much
	RedeemFrozen  Refusal = "redeem_frozen"   // the station's ledger accrues only until HQ has reconciled it
	Conflict      Refusal = "conflict"        // the same id was used with other content
	UnknownSale   Refusal = "unknown_sale"    // no sale of this id
	SaleNotOpen   Refusal = "sale_not_open"   // the sale is closed or void already
	SaleNotHere   Refusal = "sale_not_here"   // no sale of this id was closed, at this station or at the one that was named
	SaleNotClosed Refusal = "sale_not_closed" // only a closed sale is refunded: an open one is voided or resolved
	RefundMore    Refusal = "refund_more"     // more than the sale has left to refund
	RedeemMore    Refusal = "redeem_more"     // close asks for more than was opened
	StorageFull   Refusal = "storage_full"    // the disk is full: no redeeming, later no accruing
	StorageFailed Refusal = "storage_failed"  // the disk failed: the outcome is unknown until the agent has restarted
	NoProgramme   Refusal = "no_programme"    // the station has no programme in force
	Offline       Refusal = "hq_out_of_reach" // HQ did not answer in time

	NotConfirmed     Refusal = "not_confirmed"        // the card was given out here, and headquarters has not told of it yet
	NotActivated     Refusal = "redeem_not_activated" // the programme wants redeeming switched on by the customer first
	TenderRedeemsNot Refusal = "tender_redeems_not"   // nothing is redeemed beside this tender
	TenderEarnsNot   Refusal = "tender_earns_not"     // nothing is earned on what this tender pays
	PurchaseLimit    Refusal = "purchase_limit"       // nothing is earned beyond so many purchases
	EarnLimit        Refusal = "earn_limit"           // the programme's cap of litres, roubles or points is reached
	BalanceLimit     Refusal = "balance_limit"        // the account holds as many points as the programme allows
	CampaignLimit    Refusal = "campaign_limit"       // the campaign has given all it gives to this customer
	PromoUnknown     Refusal = "promo_unknown"        // no campaign has this promo code
	PromoMistyped    Refusal = "promo_mistyped"       // the check digit of the promo code is wrong
	PromoNotNow      Refusal = "promo_not_now"        // the code's campaign is not running here and now
	PromoUsed        Refusal = "promo_used"           // the account has used the code
	PromoNotMet      Refusal = "promo_conditions"     // the receipt does not meet the campaign's conditions
	CardLimit        Refusal = "card_limit"           // the account has all the cards of this kind that it may have
	CardTaken        Refusal = "card_taken"           // the card to be issued belongs to somebody
	NoFormsKey       Refusal = "no_forms_key"         // the station has no key to seal forms with: it cannot issue cards
	TooOften         Refusal = "too_often"            // a velocity rule of the programme refuses it
	ShiftEnded       Refusal = "shift_closed"         // the shift is closed
	UnknownShift     Refusal = "unknown_shift"        // no shift of this number at this counter
)

// Error is the code.
func (r Refusal) Error() string { return string(r) }

// RefusalOf finds the refusal in an error's chain.
func RefusalOf(err error) (Refusal, bool) {
	var r Refusal
	ok := errors.As(err, &r)
	return r, ok
}

// Text is a sentence for people in the two languages of the screens.
type Text struct {
	RU string `json:"ru"`
	EN string `json:"en"`
}

// Words are what the cashier reads for a refusal. Every published code has both languages.
func Words(r Refusal) Text {
	if t, ok := words[r]; ok {
		return t
	}
	return Text{RU: "Операция не выполнена", EN: "The operation was not carried out"}
}

// Refusals lists every published code in alphabetical order, for documents and tests.
func Refusals() []Refusal {
	all := make([]Refusal, 0, len(words))
	for r := range words {
		all = append(all, r)
	}
	slices.Sort(all)
	return all
}

var words = map[Refusal]Text{
	BadRequest:    {"Касса прислала неверный запрос. Повторите или позовите техника", "The register sent a malformed request. Try again or call the technician"},
	NotACard:      {"Это не карта программы: проверьте номер", "This is no card of the programme: check the number"},
	UnknownCard:   {"Карта не найдена", "The card is not known"},
	CardBlocked:   {"Карта заблокирована", "The card is blocked"},
	CardClosed:    {"Карта закрыта", "The card is closed"},
	StaffCard:     {"Карты сотрудников не принимаются", "Staff cards are not accepted"},
	AccrueOnly:    {"По этой карте можно только начислять", "This card can only accrue"},
	RedeemOff:     {"Списание по этой карте не включено: его включает центр или владелец счёта", "Redeeming with this card is not switched on: headquarters or the owner of the account does that"},
	NotEnough:     {"Недостаточно баллов", "Not enough points"},
	OverLimit:     {"Столько списать по этому чеку нельзя", "This receipt cannot take that many points"},
	NoRights:      {"Нет связи с центром: столько списать сейчас нельзя. Начисление работает", "No connection to headquarters: that much cannot be redeemed now. Accruing works"},
	RedeemFrozen:  {"Списание временно остановлено на этой АЗС. Начисление работает", "Redeeming is suspended at this station. Accruing works"},
	Conflict:      {"Запись с этим номером уже есть с другими данными", "There is a record of this number with other content"},
	UnknownSale:   {"Чек не найден", "The sale was not found"},
	SaleNotOpen:   {"Чек уже закрыт или отменён", "The sale is closed or void already"},
	SaleNotHere:   {"Чек не найден. Проверьте номер чека и номер АЗС, где была покупка", "No such sale. Check its number and the number of the station where it was"},
	SaleNotClosed: {"Чек не закрыт. Открытый чек отменяют, а не возвращают", "The sale is not closed. An open sale is voided, not refunded"},
	RefundMore:    {"Вернуть больше, чем осталось по чеку, нельзя", "More than is left of the sale cannot be refunded"},
	RedeemMore:    {"Списать больше, чем было зарезервировано, нельзя", "More than was reserved cannot be redeemed"},
	StorageFull:   {"Диск переполнен. Позовите техника", "The disk is full. Call the technician"},
	StorageFailed: {"Ошибка диска. Повторите чек через несколько секунд", "Disk error. Repeat the sale in a few seconds"},
	NoProgramme:   {"Программа ещё не получена из центра", "No programme has come from headquarters yet"},
	Offline:       {"Нет связи с центром", "Headquarters cannot be reached"},

	NotConfirmed:     {"Карта выдана недавно, центр её ещё не подтвердил: списывать пока нельзя. Начисление работает", "The card is new and headquarters has not confirmed it yet: it cannot redeem. Accruing works"},
	NotActivated:     {"Списание баллов не активировано: клиент включает его в личном кабинете", "Redeeming is not activated: the customer switches it on in the account"},
	TenderRedeemsNot: {"При этом способе оплаты баллы не списываются", "Points are not redeemed with this way of paying"},
	TenderEarnsNot:   {"При этом способе оплаты баллы не начисляются", "Points are not earned with this way of paying"},
	PurchaseLimit:    {"Лимит покупок исчерпан: баллы за эту покупку не начисляются", "The limit of purchases is reached: this one earns nothing"},
	EarnLimit:        {"Лимит начисления исчерпан: начислено не за всю покупку", "The earning limit is reached: not everything earned points"},
	BalanceLimit:     {"На счёте наибольшее возможное число баллов", "The account holds as many points as it may"},
	CampaignLimit:    {"Лимит баллов по акции исчерпан", "The campaign's limit of points is reached"},
	PromoUnknown:     {"Промокод не найден", "The promo code is not known"},
	PromoMistyped:    {"Промокод набран с ошибкой. Проверьте цифры", "The promo code is mistyped. Check the digits"},
	PromoNotNow:      {"Промокод сейчас или на этой АЗС не действует", "The promo code is not valid now or at this station"},
	PromoUsed:        {"Промокод уже использован", "The promo code has been used"},
	PromoNotMet:      {"Условия промокода не выполнены", "The conditions of the promo code are not met"},
	CardTaken:        {"Эта карта уже выдана. Возьмите другую", "This card has been issued already. Take another one"},
	NoFormsKey:       {"Выдача карт на этой АЗС не настроена. Позовите техника", "Issuing cards is not set up at this station. Call the technician"},
	TooOften:         {"Слишком много операций подряд. Позовите старшего смены", "Too many operations in a row. Call the supervisor"},
	ShiftEnded:       {"Смена закрыта. Откройте новую", "The shift is closed. Open a new one"},
	UnknownShift:     {"Такой смены на этой кассе нет", "This counter has no such shift"},
	CardLimit:        {"Больше карт этого вида на счёт выпустить нельзя", "The account cannot have more cards of this kind"},
}
