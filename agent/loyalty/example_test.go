package loyalty_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/packaging/programmes"
)

// familyTeam is the programme that the examples tell.
func familyTeam() *loyalty.Programme {
	src, err := programmes.File("semeynaya-komanda")
	if err != nil {
		panic(err)
	}
	p, err := loyalty.ParseProgramme(src)
	if err != nil {
		panic(err)
	}
	return p
}

// "1 point for 2 full litres of fuel; 1 point for every 20 roubles of goods", and never for tobacco.
func ExampleProgramme_Price() {
	r := loyalty.Receipt{Tender: loyalty.Cashless, Lines: []loyalty.Line{
		{Kind: loyalty.Fuel, Code: "АИ-95", Volume: 41_900, Amount: 2_639_70},
		{Kind: loyalty.Goods, Code: "4607001771562", Group: "coffee", Count: 1_000, Amount: 159_00},
		{Kind: loyalty.Goods, Code: "4606203086511", Group: "tobacco", Count: 1_000, Amount: 245_00},
	}}
	q, err := familyTeam().Price(loyalty.Case{Receipt: &r, Redeem: 0, Available: 300_00, At: loyalty.At(time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC))})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("to pay:", q.Pay)
	fmt.Println("earned:", q.Earn) // 20 for 41.9 litres, 7 for 159 roubles
	fmt.Println("may be redeemed:", q.MaxRedeem)
	// Output:
	// to pay: 3043.70
	// earned: 27
	// may be redeemed: 300
}

// "1 point is 1 rouble of discount": a receipt may be paid with points, and nothing is earned on the part that is.
func ExampleProgramme_Price_redeem() {
	r := loyalty.Receipt{Tender: loyalty.Cash, Lines: []loyalty.Line{
		{Kind: loyalty.Fuel, Code: "АИ-95", Volume: 40_000, Amount: 2_400_00},
		{Kind: loyalty.Goods, Code: "4607001771562", Group: "coffee", Count: 1_000, Amount: 200_00},
	}}
	q, err := familyTeam().Price(loyalty.Case{Receipt: &r, Redeem: 1_300_00, Available: 1_500_00, At: loyalty.At(time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC))})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, d := range q.Lines {
		fmt.Printf("line %d: %s off\n", i+1, d)
	}
	fmt.Println("to pay:", q.Pay)
	fmt.Println("earned:", q.Earn) // 10 for the 20 litres and 5 for the 100 roubles that are paid with money
	// Output:
	// line 1: 1200.00 off
	// line 2: 100.00 off
	// to pay: 1300.00
	// earned: 15
}

// "Points that are not used are annulled on 1 June of each year; those accrued from 1 to 31 May are kept until the next."
func ExampleProgramme_Price_expiry() {
	moscow := time.FixedZone("MSK", 3*60*60)
	r := loyalty.Receipt{Tender: loyalty.Cash, Lines: []loyalty.Line{{Kind: loyalty.Fuel, Code: "ДТ", Volume: 10_000, Amount: 700_00}}}
	for _, at := range []time.Time{
		time.Date(2026, time.April, 30, 23, 59, 0, 0, moscow),
		time.Date(2026, time.May, 1, 0, 0, 0, 0, moscow),
		time.Date(2026, time.June, 1, 0, 0, 0, 0, moscow),
	} {
		q, err := familyTeam().Price(loyalty.Case{Receipt: &r, Redeem: 0, Available: 0, At: loyalty.At(at)})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("accrued on %s, annulled on %s\n", at.Format("2 January 2006"), q.Lots[0].Expires.Time().In(moscow).Format("2 January 2006"))
	}
	// Output:
	// accrued on 30 April 2026, annulled on 1 June 2026
	// accrued on 1 May 2026, annulled on 1 June 2027
	// accrued on 1 June 2026, annulled on 1 June 2027
}

// Points that expire first are spent first.
func ExampleAccount_Redeem() {
	june := loyalty.At(time.Date(2026, time.June, 1, 0, 0, 0, 0, time.UTC))
	account := loyalty.Account{ID: 42}
	for _, l := range []loyalty.Lot{{Amount: 100_00}, {Amount: 30_00, Expires: june}} {
		if err := account.Accrue(l); err != nil {
			fmt.Println(err)
			return
		}
	}
	may := loyalty.At(time.Date(2026, time.May, 20, 0, 0, 0, 0, time.UTC))
	if _, err := account.Redeem(50_00, may); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("left:", account.Total(may), "and after 1 June:", account.Total(june))

	_, err := account.Redeem(80_01, may)
	fmt.Println("more than that:", errors.Is(err, loyalty.NotEnough))
	// Output:
	// left: 80 and after 1 June: 80
	// more than that: true
}

// A grant that arrives twice, or late, gives nothing twice.
func ExampleCell() {
	var cell loyalty.Cell
	cell.Grant(50_00)
	cell.Grant(50_00) // the same again
	if err := cell.Use(40_00); err != nil {
		fmt.Println(err)
		return
	}
	cell.Grant(30_00) // an older one, late
	fmt.Println("left:", cell.Left())
	fmt.Println("more:", cell.Use(10_01))
	fmt.Println("handed back:", cell.Return(), "left:", cell.Left())
	// Output:
	// left: 10
	// more: use 10.01 of 10: no_rights
	// handed back: 10 left: 0
}

// What an editor of a programme is told.
func ExampleParseProgramme() {
	_, err := loyalty.ParseProgramme([]byte(`schema: azs-edge/programme/1
name: summer
version: 1
effective: 2026-06-01T00:00:00+03:00
title: {ru: Лето, en: Summer}
earn:
  - fuel: ["*"]
    points: 1
    per_litre: 2
redeem:
  share: half
`))
	fmt.Println(err)
	// Output:
	// programme: 9:5: earn[0].per_litre: there is no such key; did you mean per_litres?
	// 11:10: redeem.share: "half" is not per cent; write it like 50%
}
