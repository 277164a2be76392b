package loyalty_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/packaging/programmes"
)

var update = flag.Bool("update", false, "write what is reported into the golden files")

// Each file of testdata/programme is wrong; the golden file beside it is what its author is told.
func TestProblemsOfAProgramme(t *testing.T) {
	files, err := filepath.Glob("testdata/programme/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := loyalty.ParseProgramme(src)
			var problems loyalty.ProgrammeProblems
			if p != nil || !errors.Is(err, loyalty.ErrProgramme) || !errors.As(err, &problems) {
				t.Fatalf("got %v, %v; want problems", p, err)
			}
			if want := "programme: " + problems[0].String(); !strings.HasPrefix(err.Error(), want) {
				t.Errorf("the error begins %q, want %q", err, want)
			}
			var got bytes.Buffer
			for _, problem := range problems {
				fmt.Fprintln(&got, problem)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("reports\n%s\nwant\n%s", got.Bytes(), want)
			}
		})
	}
}

func TestProgrammeDefaults(t *testing.T) {
	p := programme(t, "")
	p.Source = nil
	want := &loyalty.Programme{
		Name: "test", Version: 7, Effective: loyalty.At(time.Date(2025, 12, 31, 21, 0, 0, 0, time.UTC)), Title: loyalty.Text{RU: "Проверка", EN: "Test"},
		Offset: 3 * time.Hour, PointValue: 100, Step: 1, RedeemShare: 100_00, RedeemStep: 100,
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v, want %+v", p, want)
	}
}

func TestProgrammeSaysEverything(t *testing.T) {
	src := fmt.Sprintf(rules, `
utc_offset: -02:30
points: {value: 0.5, step: 0.05}
earn:
  - {fuel: [АИ-95, ДТ], points: 1.25, per_litres: 0.5, whole: true}
  - {goods: ["*"], points: "3", per_roubles: "50.00", whole: false}
never_earn: [tobacco, 007]
never_redeem: [alcohol]
activation: {days: 14}
expiry: {yearly: 06-01, spare_days: 31}
redeem: {share: 33.33%, step: 2, min_money: 1}
unknown_card: refuse
`)
	p, err := loyalty.ParseProgramme([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	want := &loyalty.Programme{
		Name: "test", Version: 7, Effective: loyalty.At(time.Date(2025, 12, 31, 21, 0, 0, 0, time.UTC)), Title: loyalty.Text{RU: "Проверка", EN: "Test"},
		Offset: -(2*time.Hour + 30*time.Minute), PointValue: 50, Step: 5,
		Earn: []loyalty.EarnRule{
			{Kind: loyalty.Fuel, Codes: []string{"АИ-95", "ДТ"}, Points: 125, Per: 500, Whole: true},
			{Kind: loyalty.Goods, Points: 300, Per: 5000},
		},
		NoEarn: []string{"tobacco", "007"}, NoRedeem: []string{"alcohol"},
		Activation: 14 * 24 * time.Hour, Annul: loyalty.YearDay{Month: time.June, Day: 1}, SpareDays: 31,
		RedeemShare: 33_33, RedeemStep: 200, MinMoney: 100, Source: []byte(src),
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got  %+v\nwant %+v", p, want)
	}
}

// What the richer keys mean, key by key.
func TestProgrammeSaysTheRest(t *testing.T) {
	src, err := os.ReadFile(everything)
	if err != nil {
		t.Fatal(err)
	}
	p, err := loyalty.ParseProgramme(src)
	if err != nil {
		t.Fatal(err)
	}
	at := func(month time.Month) loyalty.Instant {
		return loyalty.At(time.Date(2026, month, 1, 0, 0, 0, 0, time.FixedZone("", 5*60*60)))
	}
	coffee := loyalty.Cover{Kind: loyalty.Goods, Codes: []string{"coffee"}}
	want := &loyalty.Programme{
		Name: "everything", Version: 3, Effective: loyalty.At(time.Date(2025, 12, 31, 21, 0, 0, 0, time.UTC)), Title: loyalty.Text{RU: "Всё", EN: "Everything"},
		Offset: 5 * time.Hour, PointValue: 100, Step: 50, Form: loyalty.CounterForm,
		Tiers: []loyalty.Tier{
			{Name: "green", Title: loyalty.Text{RU: "Зелёный", EN: "Green"}}, {Name: "gold", Title: loyalty.Text{RU: "Золотой", EN: "Gold"}, From: 300_500},
		},
		TierBy: loyalty.TierBy{Unit: loyalty.Fuel, Covers: []loyalty.Cover{{Kind: loyalty.Fuel}, coffee}, Window: loyalty.NextDays, Days: 90},
		Earn: []loyalty.EarnRule{
			{
				Name: "fuel", Kind: loyalty.Fuel, Codes: []string{"АИ-95", "ДТ"}, Tenders: []loyalty.Tender{loyalty.Cash, loyalty.Cashless},
				ByTier: []loyalty.Points{1_00, 1_25}, Per: 2000, Whole: true, AtMost: loyalty.Caps{Receipt: 100_000, Day: 200_000, Week: 300_000, Month: 900_000},
			},
			{Kind: loyalty.Goods, Points: 1_50, Per: 50_00, AtMost: loyalty.Caps{Receipt: 5000_00}},
		},
		NoEarn: []string{"tobacco", "CNG"}, NoEarnBy: []loyalty.Tender{loyalty.FuelCard},
		NoRedeem: []string{"tobacco", "alcohol"}, NoRedeemBy: []loyalty.Tender{loyalty.FuelCard},
		Activation: 14 * 24 * time.Hour, Annul: loyalty.YearDay{Month: time.June, Day: 1}, SpareDays: 31,
		Limits: loyalty.Limits{
			Purchases: loyalty.Caps{Day: 3, Week: 10, Month: 30}, Points: loyalty.Caps{Receipt: 100_00, Day: 200_00, Week: 500_00, Month: 1000_00}, Balance: 15000_00,
		},
		RedeemShare: 99_00, RedeemStep: 100, MinMoney: 100, RedeemAsked: true,
		RedeemShares: []loyalty.Share{
			{Cover: loyalty.Cover{Kind: loyalty.Fuel}, Part: 50_00}, {Cover: loyalty.Cover{Kind: loyalty.Goods, Codes: []string{"cafe"}}, Part: 33_33},
		},
		Campaigns: []loyalty.Campaign{
			{
				Name: "night", Title: loyalty.Text{RU: "Ночь", EN: "Night"}, From: at(3), Until: at(4), Stations: []loyalty.StationID{12, 15},
				Weekdays: 1<<time.Friday | 1<<time.Saturday, Hours: [2]int{22 * 60, 6 * 60}, Tiers: 1 << 1, Tenders: []loyalty.Tender{loyalty.Cashless},
				Covers: []loyalty.Cover{{Kind: loyalty.Fuel, Codes: []string{"АИ-95"}}, coffee}, MinVolume: 30_000, MinMoney: 100_00, Multiply: 2_00,
				PerAccount: 1000_00, PerCard: 500_00, LifeDays: 30,
			},
			{
				Name: "per-litre", Title: loyalty.Text{RU: "per-litre", EN: "per-litre"}, From: at(3), Covers: []loyalty.Cover{{Kind: loyalty.Fuel}},
				Points: 50, Per: 1000, PerKind: loyalty.Fuel, Activation: -1,
			},
			{
				Name: "per-rouble", Title: loyalty.Text{RU: "per-rouble", EN: "per-rouble"}, From: at(3), Until: at(4), Covers: []loyalty.Cover{{Kind: loyalty.Goods}},
				Points: 20_00, Per: 100_00, PerKind: loyalty.Goods, Activation: -1, Expires: at(6),
			},
			{
				Name: "code", Title: loyalty.Text{RU: "code", EN: "code"}, From: at(3), Until: at(4), Points: 50_00, Activation: -1,
				Promo: &loyalty.Promo{Codes: []string{"SPRING26", "ВЕСНА"}, Pattern: "RN######", Luhn: true},
			},
		},
		Cards: loyalty.CardRules{Main: 1, Additional: 2, Virtual: 1, OwnerAllows: true}, AcceptUnknown: true,
		Velocity: []loyalty.Velocity{
			{Name: "same-card", Per: []loyalty.Watched{loyalty.WatchCard, loyalty.WatchCounter}, AtMost: 4, Within: 30 * time.Minute},
			{Name: "manual-entries", Per: []loyalty.Watched{loyalty.WatchCashier}, Count: loyalty.CountManual, AtMost: 10, Shift: true},
			{Name: "redeem-a-day", Per: []loyalty.Watched{loyalty.WatchAccount}, Count: loyalty.CountRedeemed, AtMost: 5000_50, Day: true, Refuse: true},
			{Name: "refunds", Per: []loyalty.Watched{loyalty.WatchCashier, loyalty.WatchShift}, Count: loyalty.CountRefunds, Within: 7 * 24 * time.Hour, Refuse: true},
		},
	}
	if got := p.Bare(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// A number means what a person reads, however YAML would type it.
func TestNumbersAreReadAsWritten(t *testing.T) {
	for _, tt := range []struct {
		written string
		want    loyalty.Points // 0: refused
	}{
		{"1", 100},
		{"1.0", 100},
		{"1.10", 110},
		{`"1.10"`, 110},
		{"'2'", 200},
		{"017", 1700}, // octal in YAML 1.1
		{"1,5", 0},
		{"10000", 1_000_000},
		{"10000.01", 0},
		{"0", 0},
		{"-1", 0},
		{"+1", 0},
		{"0x10", 0},
		{"0o17", 0},
		{"0b1", 0},
		{"1e3", 0},
		{"1_000", 0},
		{".5", 0},
		{"1.", 0},
		{".inf", 0},
		{".nan", 0},
		{"true", 0},
		{"null", 0},
		{"~", 0},
		{"", 0},
		{"{}", 0},
		{"[1]", 0},
		{"1 000", 0},
		{"99999999999999999999999999", 0},
		{"|-\n      1", 0},
		{"!!int 1", 0},
	} {
		p, err := loyalty.ParseProgramme([]byte(fmt.Sprintf(rules, "earn:\n  - fuel: ['*']\n    points: "+tt.written+"\n")))
		switch {
		case tt.want == 0 && !errors.Is(err, loyalty.ErrProgramme):
			t.Errorf("%q is taken as %+v, %v", tt.written, p, err)
		case tt.want == 0 && !strings.Contains(err.Error(), "earn[0].points"):
			t.Errorf("%q: %v does not name the key", tt.written, err)
		case tt.want != 0 && (err != nil || p.Earn[0].Points != tt.want):
			t.Errorf("%q: %+v, %v; want %s", tt.written, p, err, tt.want)
		}
	}
}

func TestProgrammeBounds(t *testing.T) {
	many := func(n int, s string) string { return strings.TrimSuffix(strings.Repeat(s, n), ", ") }
	codes := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "c%d,\n ", i)
		}
		return strings.TrimSuffix(b.String(), ",\n ")
	}
	for name, src := range map[string]string{
		"larger than a file may be":      fmt.Sprintf(rules, strings.Repeat("# a comment\n", loyalty.MaxProgramme/12)),
		"a long line":                    fmt.Sprintf(rules, "#"+strings.Repeat("x", 1024)),
		"brackets on lines of their own": strings.Repeat("[\n", loyalty.MaxProgramme/2),
		"more rules than there may be":   fmt.Sprintf(rules, "earn:\n"+many(201, "- {fuel: ['*'], points: 1}\n")),
		"more codes than there may be":   fmt.Sprintf(rules, "never_earn: ["+codes(4000)+"]\nnever_redeem: ["+codes(97)+"]\n"),
		"a long code":                    fmt.Sprintf(rules, "never_earn: ["+strings.Repeat("c", loyalty.MaxLineText+1)+"]"),
		"a code that is no text":         fmt.Sprintf(rules, `never_earn: ["\e"]`),
		"brackets all the way":           strings.Repeat("[", loyalty.MaxProgramme),
		"closed brackets":                strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
		"braces":                         many(10_000, "{a: ") + "\n",
		"hyphens":                        strings.Repeat("- ", loyalty.MaxProgramme/2),
		"questions":                      strings.Repeat("? ", loyalty.MaxProgramme/2),
		"stairs":                         stairs(300),
		"problems without end":           many(loyalty.MaxProgramme/8, "- x\n"),
		"keys without end":               keysWithoutEnd(),
		"a bomb of aliases":              "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n",
		"a long key":                     strings.Repeat("k", 1000) + ": 1\n",
		"no UTF-8":                       "schema: \xff\xfe\n",
		"zeros":                          "\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			p, err := loyalty.ParseProgramme([]byte(src))
			var problems loyalty.ProgrammeProblems
			if p != nil || !errors.As(err, &problems) || len(problems) == 0 || len(problems) > 100 || len(err.Error()) > 100*300 {
				t.Errorf("got %v, %d problems, %d bytes", p, len(problems), len(fmt.Sprint(err)))
			}
		})
	}
}

func stairs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%sk:\n", strings.Repeat(" ", i))
	}
	return b.String()
}

func keysWithoutEnd() string {
	var b strings.Builder
	for i := 0; b.Len() < loyalty.MaxProgramme-20; i++ {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	return b.String()
}

// lot is what a receipt of one litre at the moment books.
func lot(t testing.TB, p *loyalty.Programme, at time.Time) loyalty.Lot {
	r := receipt(fuel("ДТ", 1000, 70_00))
	q, err := p.Price(loyalty.Case{Receipt: &r, Redeem: 0, Available: 0, At: loyalty.At(at)})
	if err != nil {
		t.Fatal(err)
	}
	return q.Lots[0]
}

func TestActivationAndExpiry(t *testing.T) {
	msk := time.FixedZone("MSK", 3*3600)
	day := func(year int, month time.Month, d int) time.Time { return time.Date(year, month, d, 0, 0, 0, 0, msk) }
	const earn = "earn: [{fuel: ['*'], points: 1}]\n"
	const yearly = earn + "expiry: {yearly: 06-01, spare_days: 31}"
	for _, tt := range []struct {
		name       string
		programme  string
		at         time.Time
		activeFrom time.Time
		expires    time.Time
	}{
		{"at once, for ever", earn, day(2026, 3, 1), time.Time{}, time.Time{}},
		{"after a fortnight, from the start of the day", earn + "activation: {days: 14}", day(2026, 3, 1).Add(15 * time.Hour), day(2026, 3, 15), time.Time{}},
		{"the day is that of the programme's calendar", earn + "activation: {days: 1}\nexpiry: {months: 1}", time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC), day(2026, 3, 3), day(2026, 4, 3)},
		{"another calendar", earn + "activation: {days: 1}\nutc_offset: +10:00", time.Date(2026, 3, 1, 13, 59, 0, 0, time.UTC), time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC), time.Time{}},
		{"the whole last day counts", earn + "expiry: {months: 12}", day(2026, 3, 1).Add(time.Hour), time.Time{}, day(2027, 3, 2)},
		{"a month without such a day", earn + "expiry: {months: 1}", day(2026, 1, 31), time.Time{}, day(2026, 3, 1)},
		{"a leap day", earn + "expiry: {months: 12}", day(2028, 2, 29), time.Time{}, day(2029, 3, 1)},
		{"a year's end", earn + "expiry: {months: 1}", day(2026, 12, 31), time.Time{}, day(2027, 2, 1)},
		{"annulled on the first of June", yearly, day(2026, 4, 30).Add(23 * time.Hour), time.Time{}, day(2026, 6, 1)},
		{"accrued in May", yearly, day(2026, 5, 1), time.Time{}, day(2027, 6, 1)},
		{"accrued on the last of May", yearly, day(2026, 5, 31).Add(23 * time.Hour), time.Time{}, day(2027, 6, 1)},
		{"accrued on the day", yearly, day(2026, 6, 1), time.Time{}, day(2027, 6, 1)},
		{"accrued in December", yearly, day(2026, 12, 31), time.Time{}, day(2027, 6, 1)},
		{"nothing spared", earn + "expiry: {yearly: 01-01}", day(2026, 12, 31).Add(23 * time.Hour), time.Time{}, day(2027, 1, 1)},
		{"spared over the year's end", earn + "expiry: {yearly: 01-01, spare_days: 10}", day(2026, 12, 25), time.Time{}, day(2028, 1, 1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := loyalty.Lot{Amount: 100}
			if !tt.activeFrom.IsZero() {
				want.ActiveFrom = loyalty.At(tt.activeFrom)
			}
			if !tt.expires.IsZero() {
				want.Expires = loyalty.At(tt.expires)
			}
			if got := lot(t, programme(t, tt.programme), tt.at); got != want {
				t.Errorf("accrued at %s: active from %s until %s; want %s until %s", tt.at, got.ActiveFrom, got.Expires, want.ActiveFrom, want.Expires)
			}
		})
	}
}

// Who comes later never gets points that expire earlier, and a lot is never dead on arrival.
func TestLaterPointsLiveAtLeastAsLong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &loyalty.Programme{Step: 1, RedeemStep: 100, PointValue: 100, Offset: time.Duration(rapid.IntRange(-12, 14).Draw(t, "offset")) * time.Hour,
			Earn: []loyalty.EarnRule{{Kind: loyalty.Fuel, Points: 100, Per: 1000}}}
		if rapid.Bool().Draw(t, "yearly") {
			p.Annul = loyalty.YearDay{Month: time.Month(rapid.IntRange(1, 12).Draw(t, "month")), Day: rapid.IntRange(1, 28).Draw(t, "day")}
			p.SpareDays = rapid.IntRange(0, 366).Draw(t, "spare days")
		} else {
			p.LifeMonths = rapid.IntRange(1, 120).Draw(t, "months")
		}
		at := time.Unix(rapid.Int64Range(1_700_000_000, 2_000_000_000).Draw(t, "at"), 0)
		later := at.Add(time.Duration(rapid.Int64Range(0, 100*24*3600).Draw(t, "seconds later")) * time.Second)
		a, b := lotOf(t, p, at), lotOf(t, p, later)
		if b.Expires < a.Expires || !a.Active(loyalty.At(at)) {
			t.Fatalf("accrued at %s until %s, at %s until %s", at, a.Expires, later, b.Expires)
		}
	})
}

func lotOf(t *rapid.T, p *loyalty.Programme, at time.Time) loyalty.Lot {
	r := receipt(fuel("ДТ", 1000, 70_00))
	q, err := p.Price(loyalty.Case{Receipt: &r, Redeem: 0, Available: 0, At: loyalty.At(at)})
	if err != nil {
		t.Fatal(err)
	}
	return q.Lots[0]
}

// FuzzParseProgramme reads anything: problems with places, or a programme that can price and that reads again the same.
func FuzzParseProgramme(f *testing.F) {
	files, err := filepath.Glob("testdata/programme/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	for _, name := range programmes.Names() {
		src, err := programmes.File(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Add([]byte(fmt.Sprintf(rules, simple)))
	if src, err := os.ReadFile(everything); err == nil {
		f.Add(src)
	}
	r := receipt(fuel("АИ-95", 40_000, 2400_00), goods("coffee", 200_00), goods("tobacco", 200_00))
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := loyalty.ParseProgramme(src)
		if err != nil {
			var problems loyalty.ProgrammeProblems
			if p != nil || !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("got %v, %v", p, err)
			}
			for _, problem := range problems {
				if problem.Message == "" || problem.Line < 0 || problem.Line > 1+bytes.Count(src, []byte("\n"))+bytes.Count(src, []byte("\r")) {
					t.Fatalf("%d:%d: %q", problem.Line, problem.Column, problem.Message)
				}
			}
			return
		}
		if !slices.Equal(p.Source, src) {
			t.Fatal("the source is another")
		}
		q, err := p.Price(loyalty.Case{Receipt: &r, Redeem: 0, Available: 5000_00, At: noon(3, 1)})
		if err != nil {
			t.Fatal(err)
		}
		if err := checkQuote(p, &r, &q, 0, 5000_00); err != nil {
			t.Fatal(err)
		}
		two := paid(r, loyalty.Payment{Tender: loyalty.Cash, Amount: 799_99}, loyalty.Payment{Tender: loyalty.Cashless, Amount: 2000_01})
		if q2, err := p.Price(loyalty.Case{Receipt: &two, Available: 5000_00, At: noon(3, 1), Explain: true}); err != nil {
			t.Fatal(err)
		} else if err := checkQuote(p, &two, &q2, 0, 5000_00); err != nil {
			t.Fatal(err)
		} else if told(&q2); strings.Contains(told(&q2), "%!") {
			t.Fatal(told(&q2))
		}
		judgeAny(t, p)
		if q, err = p.Price(loyalty.Case{Receipt: &r, Redeem: q.MaxRedeem, Available: 5000_00, At: noon(3, 1)}); err != nil {
			t.Fatal(err)
		}
		if err := checkQuote(p, &r, &q, q.Redeem, 5000_00); err != nil {
			t.Fatal(err)
		}
	})
}

// judgeAny does deeds under whatever velocity rules there are: they count, in words that can be read.
func judgeAny(t *testing.T, p *loyalty.Programme) {
	d := loyalty.Deed{At: noon(3, 1), Card: card, Account: account, Cashier: "Анна", Shift: 1, Sales: 1, Manual: 1, Refunds: 1, Redeemed: 1, Cards: 1}
	for i := range p.Velocity {
		v := &p.Velocity[i]
		key, ok := v.Key(&d)
		if !ok || len(key) > loyalty.MaxVelocityKey {
			t.Fatalf("%+v: %q, %v", v, key, ok)
		}
		s := loyalty.Standing{}
		for n := range int64(3) {
			if count, exceeded := p.Judge(v, &s, &d); count != n+1 || exceeded != (count > v.AtMost) {
				t.Fatalf("%+v: %d, %v", v, count, exceeded)
			}
			p.Note(v, &s, &d)
		}
		if w := v.Words(); strings.Contains(w.RU+w.EN, "%!") || !strings.Contains(w.EN, v.Name) {
			t.Fatal(w)
		}
	}
}

// TestProgrammeSlips: what people who write tables do in a programme file is told with what to write instead.
func TestProgrammeSlips(t *testing.T) {
	const head = "schema: azs-edge/programme/1\nname: summer\nversion: 3\neffective: 2026-06-01T00:00:00+03:00\ntitle: {ru: Лето, en: Summer}\n"
	for body, want := range map[string][]string{
		"points: {value: 1,25}\n": {`6:17: points.value: "1,25": a comma ends the value here; decimals take a point: 1.25`},
		"points: {value: 1,25, step: 0,01}\n": {
			`6:17: points.value: "1,25": a comma ends the value here; decimals take a point: 1.25`,
			`6:29: points.step: "0,01": a comma ends the value here; decimals take a point: 0.01`,
		},
		"points:\n  value: 1,25\n  step: \"0,01\"\n": {
			`7:10: points.value: "1,25" is written with a comma; decimals take a point: 1.25`,
			`8:9: points.step: "0,01" is written with a comma; decimals take a point: 0.01`,
		},
		"redeem: {share: 99,5%}\n":                  {`6:17: redeem.share: "99,5%": a comma ends the value here; decimals take a point: 99.5%`},
		"redeem: {share: \"99,5%\"}\n":              {`6:17: redeem.share: "99,5" is written with a comma; decimals take a point: 99.5`},
		"limits: {balance: 15,000}\n":               {`6:19: limits.balance: "15,000": a comma ends the value here; decimals take a point: 15.000; thousands are not parted: 15000`},
		"earn:\n  - {fuel: [\"*\"], points: 0,5}\n": {`7:27: earn[0].points: "0,5": a comma ends the value here; decimals take a point: 0.5`},
		"points:\n\tvalue: 1\n\n\t# remark\n \tstep: 1\n": {
			"7:1: a tab before the text; indent with spaces", "10:2: a tab before the text; indent with spaces",
		},
		"points: {1: 2, 25: 3}\n": {"6:10: a key that is not a plain word", "6:16: a key that is not a plain word"},
	} {
		_, err := loyalty.ParseProgramme([]byte(head + body))
		var problems loyalty.ProgrammeProblems
		if !errors.As(err, &problems) || len(problems) != len(want) {
			t.Errorf("%q: %v, want %q", body, err, want)
			continue
		}
		for i, p := range problems {
			if !strings.HasPrefix(p.String(), want[i]) {
				t.Errorf("%q: %s, want %s", body, p, want[i])
			}
		}
	}
	for _, body := range []string{"points:\t{value: 1.25}\t# a tab here is a space\n", "earn:\n  - {fuel: [АИ-92,АИ-95], points: 1,per_litres: 1}\n"} {
		if _, err := loyalty.ParseProgramme([]byte(head + body)); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	}
}
