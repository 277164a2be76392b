package hq

import (
	"cmp"
	"maps"
	"slices"

	"github.com/azs-edge/azs-edge/agent/loyalty"
)

func (k Knowledge) compare(o Knowledge) int {
	return cmp.Or(cmp.Compare(k.Account, o.Account), cmp.Compare(k.Station, o.Station))
}

// maxCards bounds the cards of an account that a station is told of when it meets the account.
const maxCards = 32

// spread touches the accounts' items for every station that knows them, but not for the station except, and notes new
// acquaintances, who are told of the account's cards as well. Cards among the changes, of these accounts, are told to all who
// know them. It returns the stations that have something to get.
func spread(tx Tx, c *Changes, accounts []loyalty.AccountID, met []Knowledge, except loyalty.StationID) ([]loyalty.StationID, error) {
	knowing, err := tx.Knowing(accounts)
	if err != nil {
		return nil, err
	}
	for _, k := range met {
		if slices.Contains(knowing[k.Account], k.Station) {
			continue
		}
		knowing[k.Account] = append(knowing[k.Account], k.Station)
		c.Known = append(c.Known, k)
		cards, err := tx.CardsOf(k.Account, maxCards)
		if err != nil {
			return nil, err
		}
		for _, card := range cards {
			c.Touched = append(c.Touched, Touch{k.Station, ItemKey{Kind: CardItem, Card: card.Number}})
		}
	}
	for i := range c.Cards {
		for _, s := range knowing[c.Cards[i].Account] {
			c.Touched = append(c.Touched, Touch{s, ItemKey{Kind: CardItem, Card: c.Cards[i].Number}})
		}
	}
	for _, id := range accounts {
		for _, s := range knowing[id] {
			if s != except {
				c.Touched = append(c.Touched, Touch{s, ItemKey{Kind: AccountItem, Account: id}})
			}
		}
	}
	return c.stationsTouched(), nil
}

// stationsTouched lists the stations that have something to get. What is for all of them names none.
func (c *Changes) stationsTouched() []loyalty.StationID {
	set := map[loyalty.StationID]bool{}
	for _, t := range c.Touched {
		if t.Station != 0 {
			set[t.Station] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}
