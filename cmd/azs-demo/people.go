package main

import (
	"fmt"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

// customer is somebody with a card and points. Stations know no names; the demo does, to be readable.
type customer struct {
	name   string
	card   loyalty.CardNumber
	opened loyalty.Points // at headquarters when the demo begins
	state  loyalty.State  // of the card
	note   string
	form   *formCall // filled in by who has no card yet; nil: has one
}

// account is the customer's account: the demo numbers them from 1001.
func (p people) account(i int) loyalty.AccountID { return loyalty.AccountID(1001 + i) }

// cards are everybody's cards.
func (p people) cards() (all []loyalty.CardNumber) {
	for _, x := range p {
		all = append(all, x.card)
	}
	return all
}

// people are the customers, numbered from 1 in what is typed and from 0 here.
type people []customer

func newPeople() people {
	p := people{
		{name: "Anna", opened: 1250_50, note: "a regular"},
		{name: "Boris", opened: 80_00, note: "few points"},
		{name: "Vera", opened: 3000_25, note: "many points"},
		{name: "Gleb", opened: 415_00, state: loyalty.AccruesOnly, note: "may only collect"},
		{name: "Daria", opened: 99_99, state: loyalty.Blocked, note: "reported her card lost"},
		{name: "Zoya", note: "a new customer: issue 6 gives her this card", form: &formCall{
			Name: "Зоя Новикова", Phone: "+79031234567", Birth: "1990-12-31", Language: "ru", Consent: consent{Text: "2026-03"},
		}},
	}
	for i := range p {
		p[i].card = cardNumber(i + 1)
	}
	return p
}

// cardNumber is the n-th card of the example range 7005, sixteen digits with the check digit of ISO/IEC 7812.
func cardNumber(n int) loyalty.CardNumber {
	digits := fmt.Sprintf("70059900123%04d", n)
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return loyalty.CardNumber(fmt.Sprintf("%s%d", digits, (10-sum%10)%10))
}

// books are the accounts and cards that headquarters' books begin with.
func (p people) books(at loyalty.Instant) (accounts []loyalty.Account, cards []loyalty.Card) {
	const day = 24 * time.Hour
	for i, x := range p {
		if x.form != nil {
			continue
		}
		accounts = append(accounts, loyalty.Account{ID: p.account(i), Lots: []loyalty.Lot{{
			Amount: x.opened, ActiveFrom: at.Add(-30 * day), Expires: at.Add(365 * day),
		}}})
		cards = append(cards, loyalty.Card{
			Number: x.card, Account: p.account(i), State: x.state, Kind: loyalty.MainCard, MayRedeem: true, HQVersion: 1,
			Registered: at.Add(-365 * day),
		})
	}
	return accounts, cards
}

// named finds the customer of a masked card, as the stations tell of it.
func (p people) named(masked string) string {
	for _, x := range p {
		if x.card.String() == masked {
			return x.name
		}
	}
	return "somebody"
}
