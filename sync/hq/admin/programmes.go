package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// Publication asks to publish a programme.
type Publication struct {
	Source  []byte `json:"source"`
	Replace bool   `json:"replace,omitempty"` // the published one, though it has another name
	hq.By
}

// Published is what became of a publication.
type Published struct {
	Programme
	Changed bool `json:"changed"` // false: it was the newest already
}

// Programme is a published programme. Moments are RFC 3339 in the programme's own calendar.
type Programme struct {
	Version   uint32 `json:"version"`
	Name      string `json:"name,omitempty"` // none: this program cannot read the file
	State     string `json:"state"`          // in_force, to_come or past
	Effective string `json:"effective,omitempty"`
	UTCOffset string `json:"utc_offset,omitempty"`
	Hash      string `json:"sha256"` // of the file
	Published string `json:"published,omitempty"`
	Operator  string `json:"operator,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Entry     uint64 `json:"seq,omitempty"`    // of headquarters' own journal that says so; none: the file is older than such entries
	Source    []byte `json:"source,omitempty"` // only where one was asked for
}

func (h *handler) publish(w http.ResponseWriter, r *http.Request) error {
	var q Publication
	if err := body(r, &q); err != nil {
		return err
	}
	p, changed, err := h.Books.PublishBy(r.Context(), hq.Publication{Source: q.Source, Replace: q.Replace, By: q.By})
	if err != nil {
		return err
	}
	list, err := h.published(r.Context(), p.Version+1, 1)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].Source = nil
		return answer(w, Published{list[i], changed})
	}
	return fmt.Errorf("version %d was published and is not there", p.Version)
}

// programmes lists what was published, newest first, or shows one version.
func (h *handler) programmes(w http.ResponseWriter, r *http.Request) error {
	below, err := number(r, "below", 0)
	if err != nil {
		return err
	}
	version, err := number(r, "version", 0)
	if err != nil {
		return err
	}
	if below > 1<<32-1 || version > 1<<32-2 {
		return fmt.Errorf("%w: there is no such version", loyalty.BadRequest)
	}
	if version == 0 {
		list, err := h.published(r.Context(), uint32(below), programmePage)
		for i := range list {
			list[i].Source = nil
		}
		if err != nil {
			return err
		}
		return answer(w, list)
	}
	list, err := h.published(r.Context(), uint32(version)+1, 1)
	if err != nil {
		return err
	}
	if len(list) == 0 || list[0].Version != uint32(version) {
		return fmt.Errorf("version %d: %w", version, errNoVersion)
	}
	return answer(w, list[0])
}

var errNoVersion = errors.New("no such version of the programme was published")

// programmePage bounds the programmes that are read at once.
const programmePage = 50

func (h *handler) published(ctx context.Context, below uint32, limit int) ([]Programme, error) {
	list, err := h.Catalogue.Published(ctx, below, limit)
	if err != nil {
		return nil, err
	}
	inForce, err := h.Books.InForce(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Programme, 0, len(list))
	for _, v := range list {
		sum := sha256.Sum256(v.Source)
		p := Programme{Version: v.Version, Hash: hex.EncodeToString(sum[:]), Source: v.Source, State: stateOf(v.Version, inForce)}
		zone := time.UTC
		if parsed, err := loyalty.ParseProgramme(v.Source); err == nil {
			zone = zoneOf(parsed.Offset)
			p.Name, p.Effective, p.UTCOffset = parsed.Name, parsed.Effective.Time().In(zone).Format(time.RFC3339), offsetOf(zone)
		}
		l, err := h.Books.PublishedLine(ctx, v.Version)
		if err != nil {
			return nil, err
		}
		if l != nil {
			e, err := wire.DecodeEntry(l.Bytes)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", l.Place, err)
			}
			if b, ok := e.Body.(loyalty.ProgrammePublished); ok {
				p.Published, p.Operator, p.Reason, p.Entry = l.At.Time().In(zone).Format(time.RFC3339), b.Operator, b.Reason, uint64(l.Seq)
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// stateOf says whether a version counts now. A version that was overtaken before it began never will.
func stateOf(version, inForce uint32) string {
	switch {
	case version == inForce:
		return "in_force"
	case version > inForce:
		return "to_come"
	}
	return "past"
}

func zoneOf(offset time.Duration) *time.Location { return time.FixedZone("", int(offset/time.Second)) }

func offsetOf(zone *time.Location) string { return time.Unix(0, 0).In(zone).Format("-07:00") }

// Calendar is the calendar in which people read dates: that of the programme in force.
type Calendar struct {
	UTCOffset string `json:"utc_offset"` // as +03:00
}

func (h *handler) calendar(w http.ResponseWriter, r *http.Request) error {
	offset, err := h.Books.Calendar(r.Context())
	if err != nil {
		return err
	}
	return answer(w, Calendar{offsetOf(zoneOf(offset))})
}

// Publish publishes a programme.
func (c *Client) Publish(ctx context.Context, q Publication) (p Published, err error) {
	return p, c.post(ctx, "/v1/programme", q, &p)
}

// Programmes gives fn every programme that was published, newest first, without its file.
func (c *Client) Programmes(ctx context.Context, fn func(Programme) error) error {
	for below := uint32(0); ; {
		var list []Programme
		query := url.Values{"below": {strconv.FormatUint(uint64(below), 10)}}
		if _, err := c.do(ctx, http.MethodGet, "/v1/programmes", query, nil, &list); err != nil {
			return err
		}
		for i := range list {
			below = list[i].Version
			if err := fn(list[i]); err != nil {
				return err
			}
		}
		if len(list) < programmePage || below <= 1 {
			return nil
		}
	}
}

// Programme is one version that was published, with its file.
func (c *Client) Programme(ctx context.Context, version uint32) (p Programme, err error) {
	_, err = c.do(ctx, http.MethodGet, "/v1/programmes", url.Values{"version": {strconv.FormatUint(uint64(version), 10)}}, nil, &p)
	return p, err
}

// Zone is the calendar of the programme in force; UTC if there is none.
func (c *Client) Zone(ctx context.Context) (*time.Location, error) {
	var cal Calendar
	if _, err := c.do(ctx, http.MethodGet, "/v1/calendar", nil, nil, &cal); err != nil {
		return nil, err
	}
	t, err := time.Parse("-07:00", cal.UTCOffset)
	if err != nil {
		return nil, fmt.Errorf("read the calendar: %w", err)
	}
	_, offset := t.Zone()
	return time.FixedZone("", offset), nil
}
