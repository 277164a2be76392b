package screen_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/pos/api"
)

func receipt(ml loyalty.Millilitres, k loyalty.Kopecks) loyalty.Receipt {
	return loyalty.Receipt{Tender: loyalty.Cash, Lines: []loyalty.Line{{Kind: loyalty.Fuel, Code: "АИ-95", Volume: ml, Amount: k}}}
}

// levels is a programme with tiers.
const levels = `schema: azs-edge/programme/1
name: levels
version: 5
effective: 2026-01-01T00:00:00+03:00
title: {ru: Уровни, en: Levels}
tiers:
  count: litres
  window: rolling
  days: 90
  levels:
    - {name: green, title: {ru: Зелёный, en: Green}, from: 0}
    - {name: gold, title: {ru: Золотой, en: Gold}, from: 300}
earn:
  - {fuel: ["*"], points: "1", per_litres: "2"}
redeem: {share: 100%, step: "1"}
`

// TestPage walks the page through everything that a cashier must tell apart, in a real browser.
func TestPage(t *testing.T) {
	chrome := chrome(t)
	for _, c := range []struct {
		name string
		walk func(t *testing.T, c *counter)
	}{
		{"ready", func(t *testing.T, c *counter) {
			c.sees("station", "АЗС 7")
			c.sees("counter", "Семейная команда")
			c.sees("notice", "Всё работает")
			c.holds(`location.hash === "" && document.cookie === ""`)
			c.holds(`document.getElementById("sale-fields").disabled`)
		}},
		{"customer", func(t *testing.T, c *counter) {
			c.scan(anna)
			c.sees("headline", "Начислить и списать")
			c.sees("available", "1 200")
			c.sees("total", "1 250,5")
			c.sees("pending", "50,5")
			c.sees("card-masked", "7005••••9015")
			c.holds(`!document.body.textContent.includes("` + anna + `")`)
			c.holds(`document.activeElement.id === "litres"`)
		}},
		{"quoted", func(t *testing.T, c *counter) {
			c.scan(anna)
			c.sees("headline", "Начислить и списать")
			c.fill("31", "2013", "")
			c.sees("q-earn", "15")
			c.types("#redeem", kb.F8)
			c.sees("go-text", "Списать 1 200, начислить 6")
			c.sees("q-pay", "813,00 ₽")
		}},
		{"closed", func(t *testing.T, c *counter) {
			c.scan(anna)
			c.sees("headline", "Начислить и списать")
			c.fill("31", "2013", "300")
			c.sees("go-text", "Списать 300, начислить 13")
			c.types("#redeem", kb.Enter)
			c.sees("headline", "Чек закрыт")
			c.sees("earned", "13")
			c.sees("redeemed", "300")
			c.sees("receipt-text", "Списано баллов                       300")
			if total, _ := c.desk.Balance(1); total != 963_50 {
				t.Errorf("headquarters counts %s points, want 963.5", total)
			}
			c.holds(`sessionStorage.length === 0`)
		}},
		{"accrue-only", func(t *testing.T, c *counter) {
			c.scan(boris)
			c.sees("headline", "Только начисление")
			c.sees("may-redeem", "По этой карте можно только начислять")
			c.sees("available", "300")
			c.holds(`document.getElementById("redeem").disabled && !document.getElementById("litres").disabled`)
			c.fill("20", "1300", "")
			c.sees("go-text", "Начислить 10")
		}},
		{"blocked", func(t *testing.T, c *counter) {
			c.scan(blocked)
			c.sees("headline", "Карта заблокирована")
			c.holds(`document.getElementById("sale-fields").disabled`)
		}},
		{"unknown-accrues", func(t *testing.T, c *counter) {
			c.scan(stranger)
			c.sees("headline", "Карта пока не известна")
			c.fill("20", "1300", "")
			c.sees("go-text", "Начислить 10")
		}},
		{"unknown-refused", func(t *testing.T, c *counter) {
			c.hub.Publish(api.Scan{At: time.Now(), Counter: "1", Outcome: api.ScanRefused, Card: stranger, Refusal: loyalty.UnknownCard})
			c.sees("headline", "Карта не найдена")
		}},
		{"rejected", func(t *testing.T, c *counter) {
			c.hub.Publish(api.Scan{At: time.Now(), Counter: "1", Outcome: api.ScanReject, Reason: "checksum"})
			c.sees("headline", "Это не карта программы")
			c.hub.Publish(api.Scan{At: time.Now(), Counter: "2", Outcome: api.ScanNoRead})
			c.hub.Publish(api.Scan{At: time.Now(), Counter: "1", Outcome: api.ScanNoRead})
			c.sees("headline", "Не считалось")
		}},
		{"offline", func(t *testing.T, c *counter) {
			c.desk.Grant(1, 400_00)
			c.desk.SetOnline(false)
			c.hub.Publish(api.LinkChanged{})
			c.sees("notice", "Нет связи с центром с")
			c.sees("chip-hq-text", "Нет связи")
			c.scan(anna)
			c.sees("available", "400")
			c.sees("may-redeem", "Списание до 400")
			c.sees("as-of", "по данным на")
			c.fill("31", "2013", "500")
			c.sees("q-why", "столько списать сейчас нельзя")
			c.sees("q-max", "400")
			c.holds(`document.getElementById("go").disabled`)
		}},
		{"steps", func(t *testing.T, c *counter) {
			c.desk.Add(loyalty.Card{Number: "7005990000000337", Account: 33, MayRedeem: true}, loyalty.Active, 330_50, 0)
			c.scan("7005990000000337")
			c.sees("available", "330")
			c.sees("available-label", "Доступно для списания")
			c.sees("may-redeem", "Списание до 330")
			c.sees("total", "330,5")
		}},
		{"no-cards", func(t *testing.T, c *counter) {
			c.desk.Update(func(s *api.Status) { s.Cards = false })
			c.hub.Publish(api.StatusChanged{})
			c.sees("notice", "Карты сети не настроены")
		}},
		{"levels", func(t *testing.T, c *counter) {
			p, err := loyalty.ParseProgramme([]byte(levels))
			if err != nil {
				t.Fatal(err)
			}
			c.desk.SetProgramme(p)
			sell := func(id loyalty.SaleID, k loyalty.Kopecks, redeem loyalty.Points) {
				t.Helper()
				r := &loyalty.CloseRequest{Sale: id, Card: anna, Receipt: receipt(150_000, k), Redeem: redeem}
				if _, err := c.desk.CloseSale(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			sell("a", 9_750_00, 0)
			c.scan(anna)
			c.sees("tier", "Уровень: Зелёный. До уровня «Золотой»: 150 л")
			c.holds(`document.getElementById("debt").hidden && document.getElementById("expiring").hidden`)
			c.desk.SetNow(time.Now().AddDate(0, 0, 340)) // what she had lives for a year
			c.scan(anna)
			c.sees("expiring", "сгорит баллов: 1 250,5")
			sell("b", 1_325_00, 1_325_00)
			if _, err := c.desk.RefundSale(t.Context(), &loyalty.RefundRequest{Sale: "a", Refund: "1"}); err != nil {
				t.Fatal(err)
			}
			c.scan(anna)
			c.sees("debt", "Будет удержано из начислений: 74,5")
			c.click("#language")
			c.sees("tier", "Level: Green")
			c.sees("debt", "To be taken from what is earned next: ")
		}},
		{"zone", func(t *testing.T, c *counter) {
			ok, err := chromedp.Run(c.ctx, chromedp.Evaluate[bool](`(async () => {
				const w = await import("/screen/words.js");
				const today = new Date().toISOString().slice(0, 10);
				w.setZone("2026-11-21T00:00:00+09:00");
				const far = w.clock("2020-01-31T20:05:00Z");
				w.setZone("2026-11-21T00:00:00-02:30");
				const half = w.clock("2020-01-31T20:05:00Z");
				w.setZone(today + "T12:00:00Z");
				if (w.lastDay("2026-06-01T00:00:00Z") !== "31.05.2026") return false;
				return far === "01.02 05:05" && half === "31.01 17:35" && w.clock(today + "T00:07:00Z") === "00:07";
			})()`, chromedp.EvalAwaitPromise))
			if err != nil || !ok {
				t.Errorf("moments are not written by the station's clock: %v, %v", ok, err)
			}
		}},
		{"scanner-gone", func(t *testing.T, c *counter) {
			c.desk.Update(func(s *api.Status) { s.Scanners[0].Connected = false })
			c.hub.Publish(api.ScannerChanged{Scanner: api.Scanner{Name: "scanner1", Counter: "1"}})
			c.sees("notice", "Сканер «scanner1» отключён")
			c.key(kb.F2)
			c.types("#card-number", anna+kb.Enter)
			c.sees("headline", "Начислить и списать")
			c.fill("20", "1300", "")
			c.sees("go-text", "Начислить 10")
			c.click("#go")
			c.sees("headline", "Чек закрыт")
		}},
		{"refused", func(t *testing.T, c *counter) {
			c.scan(anna)
			c.sees("headline", "Начислить и списать")
			c.fill("20", "1300", "100")
			c.sees("go-text", "Списать 100")
			c.desk.SetFrozen(true) // between quote and sale
			c.click("#go")
			c.sees("headline", "Отказано")
			c.sees("subline", "Списание временно остановлено на этой АЗС")
		}},
		{"register-opened", func(t *testing.T, c *counter) {
			c.post("PUT", "/v1/sales/r-77", `{"card":"`+anna+`","counter":"1","redeem_points_x100":50000,"receipt":{"tender":"cash","lines":[{"kind":"fuel","code":"АИ-95","volume_ml":40000,"amount_kopecks":260000}]}}`)
			c.sees("headline", "Чек открыт")
			c.sees("redeemed", "500")
			c.sees("chip-sales-text", "Незакрытые: 1")
			c.sees("notice", "Всё работает") // it is open because fuel flows
		}},
		{"late-word", func(t *testing.T, c *counter) {
			c.desk.Grant(1, 400_00)
			at := time.Now()
			c.desk.SetOnline(false)
			c.scanAt(at, anna)
			c.sees("available", "400")
			c.fill("31", "2013", "100")
			c.sees("go-text", "Списать 100")
			c.desk.SetOnline(true)
			c.scanAt(at, anna)
			c.sees("available", "1 200")
			c.sees("go-text", "Списать 100")
			c.holds(`document.getElementById("litres").value === "31"`)
			c.key(kb.Escape)
			c.sees("headline", "Отсканируйте карту")
			c.scanAt(at, anna) // dealt with: it does not come back
			c.desk.Update(func(s *api.Status) { s.Name = "АЗС 8" })
			c.hub.Publish(api.StatusChanged{})
			c.sees("station", "АЗС 8")
			c.sees("headline", "Отсканируйте карту")
		}},
		{"unresolved", func(t *testing.T, c *counter) {
			c.desk.SetNow(time.Now().Add(-time.Hour))
			for i, card := range []loyalty.CardNumber{anna, boris} {
				r := &loyalty.OpenRequest{Sale: loyalty.SaleID(fmt.Sprintf("r-%d", i+1)), Card: card, Receipt: receipt(40_000, 260_000), Who: loyalty.Who{Cashier: "Ольга"}}
				if i == 0 {
					r.Redeem = 500_00
				}
				if _, err := c.desk.OpenSale(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			c.hub.Publish(api.StatusChanged{})
			c.sees("chip-sales-text", "Незакрытые: 2")
			c.sees("notice", "Есть незакрытые чеки")
			c.key(kb.F4)
			c.sees("sales-rows", "резерв 500")
			c.shot("unresolved-list")
			const paid, never = `#sales-rows [data-id="r-1"][data-outcome=closed]`, `#sales-rows [data-id="r-2"][data-outcome=void]`
			c.click(paid)
			c.sees("sales-rows", "Точно?")
			c.click(paid)
			c.sees("chip-sales-text", "Незакрытые: 1")
			c.run(chromedp.WaitNotPresent(chromedp.CSS(paid)))
			c.click(never)
			c.click(never)
			c.sees("sales-rows", "Незакрытых чеков нет")
			if s, err := c.desk.Sale(c.ctx, "r-1"); err != nil || s.State != loyalty.SaleDone || !s.Close.Resolved || s.Quote.Redeem != 500_00 {
				t.Errorf("sale r-1 is %+v (%v)", s, err)
			}
			if s, err := c.desk.Sale(c.ctx, "r-2"); err != nil || s.State != loyalty.SaleCancelled || !s.Void.Resolved {
				t.Errorf("sale r-2 is %+v (%v)", s, err)
			}
		}},
		{"english", func(t *testing.T, c *counter) {
			c.scan(boris)
			c.sees("headline", "Только начисление")
			c.key(kb.F9)
			c.sees("headline", "Accrue only")
			c.sees("may-redeem", "This card can only accrue")
			c.run(chromedp.Reload())
			c.sees("headline", "Scan a card")
			c.connected()
			c.scan(anna)
			c.sees("available", "1,200")
			c.shot("english")
			c.does(`localStorage.clear()`)
		}},
		{"keys", func(t *testing.T, c *counter) {
			c.scan(anna)
			c.sees("headline", "Начислить и списать")
			c.click("#litres")
			for _, key := range []string{"3", "1", ",", "5", "erase"} {
				c.click(`#keys [data-key="` + key + `"]`)
			}
			c.holds(`document.getElementById("litres").value === "31,"`)
			c.key(kb.Escape)
			c.sees("headline", "Отсканируйте карту")
			c.holds(`document.getElementById("litres").value === ""`)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newCounter(t, chrome)
			p.open()
			c.walk(t, p)
			p.shot(c.name)
			p.still()
			p.clean()
		})
	}
	t.Run("sizes", func(t *testing.T) { sizes(t, newCounter(t, chrome)) })
	t.Run("restart", func(t *testing.T) { restart(t, newCounter(t, chrome)) })
	t.Run("reload", func(t *testing.T) { reload(t, newCounter(t, chrome)) })
	t.Run("hostile", func(t *testing.T) { hostile(t, newCounter(t, chrome)) })
	t.Run("sign in", func(t *testing.T) { signIn(t, newCounter(t, chrome)) })
}

// sizes holds that nothing is out of reach on the usual screens.
func sizes(t *testing.T, c *counter) {
	c.open()
	c.scan(boris)
	c.sees("headline", "Только начисление")
	for _, size := range [][2]int64{{1280, 1024}, {1366, 768}, {1920, 1080}} {
		c.run(chromedp.EmulateViewport(size[0], size[1]))
		c.holds(`document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth`)
		c.holds(`[...document.querySelectorAll("main button, main input")].filter(b => b.offsetParent).every(b => b.getBoundingClientRect().bottom <= innerHeight && b.offsetHeight >= 40)`)
		c.shot(fmt.Sprintf("size-%d", size[0]))
	}
	c.clean()
}

// restart stops the agent under the open page in the middle of a sale that was recorded and not answered, and starts
// another: the page comes back by itself, and repeats the sale until it is told its outcome. It is recorded once.
func restart(t *testing.T, c *counter) {
	c.open()
	c.scan(anna)
	c.sees("headline", "Начислить и списать")
	c.fill("31", "2013", "")
	c.sees("go-text", "Начислить 15")
	c.does(`window.stayed = true`)
	c.desk.Lose(loyalty.StorageFailed)
	c.key(kb.Enter)
	c.sees("go-text", "Повторяем чек")
	address := c.srv.Listener.Addr().String()
	c.stop()
	c.sees("notice", "не отвечает")
	c.shot("agent-gone")
	c.desk.Lose(nil)
	c.start(address)
	c.sees("headline", "Чек закрыт")
	c.sees("notice", "Всё работает")
	c.holds(`window.stayed === true && sessionStorage.length === 0`)
	if n := c.desk.Entries(); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	c.clean()
}

// reload leaves the page in the middle of such a sale: the next page in the tab settles it.
func reload(t *testing.T, c *counter) {
	c.open()
	c.scan(anna)
	c.sees("headline", "Начислить и списать")
	c.fill("31", "2013", "")
	c.sees("go-text", "Начислить 15")
	c.desk.Lose(loyalty.StorageFailed)
	c.key(kb.Enter)
	c.sees("go-text", "Повторяем чек")
	c.desk.Lose(nil)
	c.run(chromedp.Reload())
	c.sees("headline", "Чек закрыт")
	if n := c.desk.Entries(); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	c.clean()
}

// hostile sends markup in every text that comes from outside.
func hostile(t *testing.T, c *counter) {
	const script = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`
	c.desk.Update(func(s *api.Status) {
		s.Name, s.Scanners[0].Name, s.Scanners[0].Connected, s.HQ.Reason = script, script, false, script
		s.Programme.Title = loyalty.Text{RU: script, EN: script}
	})
	r := &loyalty.OpenRequest{Sale: `<script>x</script>`, Card: anna, Receipt: receipt(40_000, 260_000), Who: loyalty.Who{Cashier: script}}
	if _, err := c.desk.OpenSale(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	c.open()
	c.sees("station", script)
	c.sees("notice", script)
	c.scan(anna)
	c.sees("subline", script)
	c.key(kb.F4)
	c.sees("sales-rows", script)
	c.holds(`document.title !== "owned" && document.querySelectorAll("img").length === 0 && document.querySelectorAll("script").length === 1`)
	c.click(`#sales-rows [data-outcome=void]`)
	c.click(`#sales-rows [data-outcome=void]`)
	c.sees("sales-rows", "Незакрытых чеков нет")
	c.clean()
}

// signIn types a wrong code, then the right one.
func signIn(t *testing.T, c *counter) {
	c.visit("/")
	c.sees("signin-title", "Вход")
	c.types("#code", "WRONG"+kb.Enter)
	c.sees("signin-error", "Код неверный")
	c.shot("sign-in")
	c.does(`document.getElementById("code").value = ""`)
	c.types("#code", c.api.SignInCode()+kb.Enter)
	c.sees("headline", "Отсканируйте карту")
	c.connected()
	c.holds(`document.getElementById("signin").hidden && document.getElementById("code").value === ""`)
	c.clean()
}
