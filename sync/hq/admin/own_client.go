package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

// SetCard changes a card.
func (c *Client) SetCard(ctx context.Context, q CardChange) (out CardChanged, err error) {
	return out, c.post(ctx, "/v1/cards/set", q, &out)
}

// SetAccount changes an account.
func (c *Client) SetAccount(ctx context.Context, q AccountChange) (out AccountChanged, err error) {
	return out, c.post(ctx, "/v1/accounts/set", q, &out)
}

// Adjust gives an account points or takes some.
func (c *Client) Adjust(ctx context.Context, q Correction) (out AccountChanged, err error) {
	return out, c.post(ctx, "/v1/accounts/adjust", q, &out)
}

// CloseAccount closes an account for good.
func (c *Client) CloseAccount(ctx context.Context, q Closing) (out Closed, err error) {
	return out, c.post(ctx, "/v1/accounts/close", q, &out)
}

// Forget destroys the sealed forms of a closed account.
func (c *Client) Forget(ctx context.Context, q Closing) (out Closed, err error) {
	return out, c.post(ctx, "/v1/accounts/forget", q, &out)
}

// Act is the act of a closed account, not signed yet.
func (c *Client) Act(ctx context.Context, id loyalty.AccountID) (out hq.Act, err error) {
	return out, c.post(ctx, "/v1/accounts/act", id, &out)
}

// Advance runs the scheduled work now; tell is given how far it is, now and then.
func (c *Client) Advance(ctx context.Context, tell func(Advanced)) (out Advanced, err error) {
	b, err := c.do(ctx, http.MethodPost, "/v1/accounts/advance", nil, []byte("{}"), nil)
	if err != nil {
		return out, err
	}
	defer func() { _ = b.Close() }() // only read
	for d := json.NewDecoder(b); ; tell(out) {
		out = Advanced{}
		if err := d.Decode(&out); err != nil {
			return out, fmt.Errorf("headquarters have not said the end: %w; run it again", errors.Join(ctx.Err(), err))
		}
		if out.Error != "" {
			return out, errors.New(out.Error)
		}
		if out.Done {
			return out, nil
		}
	}
}

// Expiring gives fn what expires within so many days, in the order of accounts and days.
func (c *Client) Expiring(ctx context.Context, days int, fn func(Expiring) error) error {
	q := url.Values{"days": {strconv.Itoa(days)}}
	for {
		var page ExpiringPage
		if _, err := c.do(ctx, http.MethodGet, "/v1/accounts/expiring", q, nil, &page); err != nil {
			return err
		}
		for _, row := range page.Rows {
			if err := fn(row); err != nil {
				return err
			}
		}
		if page.Next == 0 {
			return nil
		}
		q.Set("after", strconv.FormatUint(uint64(page.Next), 10))
	}
}

// Accrue books at most [MaxRows] of a partner's accruals: all or none.
func (c *Client) Accrue(ctx context.Context, q Accruals) (n Accrued, err error) {
	return n, c.post(ctx, "/v1/partners/accrue", q, &n)
}
