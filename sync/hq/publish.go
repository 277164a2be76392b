package hq

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire"
)

// maxProgramme bounds a programme's source so that it fits a message of a down-stream.
const maxProgramme = wire.MaxMessage - 1024

// ErrOtherProgramme means that a programme has another name than the published one.
var ErrOtherProgramme = errors.New("another programme is published")

// Publication is a programme to be published.
type Publication struct {
	Source []byte
	// Replace lets a programme of another name take the published one's place.
	Replace bool
	// By may be empty in parts: not everybody gives a reason.
	By
}

// Publish publishes a programme as [Books.PublishBy] does, on nobody's word in particular.
func (b *Books) Publish(ctx context.Context, source []byte) (*loyalty.Programme, error) {
	p, _, err := b.PublishBy(ctx, Publication{Source: source})
	return p, err
}

// PublishBy sends a programme to every station and writes that into headquarters' own journal; it is in force from its
// own moment on. Published again, byte for byte, it changes nothing; otherwise its version has to be above the one
// before, or it is [ErrOldProgramme], and its name the same, or it is [ErrOtherProgramme].
func (b *Books) PublishBy(ctx context.Context, q Publication) (p *loyalty.Programme, changed bool, err error) {
	if p, err = loyalty.ParseProgramme(q.Source); err != nil {
		return nil, false, err
	}
	if len(q.Source) > maxProgramme {
		return nil, false, fmt.Errorf("%w: a file of %d bytes does not fit a message, at most %d", loyalty.ErrProgramme, len(q.Source), maxProgramme)
	}
	for _, t := range []struct{ what, text string }{{"operator", q.Operator}, {"reason", q.Reason}} {
		if err := plain(t.what, t.text, loyalty.MaxReason); err != nil {
			return nil, false, err
		}
	}
	if err := impersonal(q.Reason); err != nil {
		return nil, false, err
	}
	err = b.own(ctx, func(o *own) (err error) {
		changed, err = o.publish(p, &q)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("publish programme: %w", err)
	}
	b.wake.all()
	return p, changed, nil
}

// publish makes a programme the newest one, unless it is that already.
func (o *own) publish(p *loyalty.Programme, q *Publication) (changed bool, err error) {
	version, old, err := o.tx.Programme()
	switch {
	case err != nil:
		return false, err
	case version == p.Version && string(old) == string(q.Source):
		return false, nil
	case p.Version <= version:
		return false, fmt.Errorf("version %d is published, the file says %d: %w", version, p.Version, ErrOldProgramme)
	}
	// One that this program cannot read any more has no name to compare.
	if before, err := loyalty.ParseProgramme(old); version != 0 && err == nil && before.Name != p.Name && !q.Replace {
		return false, fmt.Errorf("%w: %q, and the file is of %q", ErrOtherProgramme, before.Name, p.Name)
	}
	body := loyalty.ProgrammePublished{
		Version: p.Version, Name: p.Name, Hash: sha256.Sum256(q.Source), Effective: p.Effective, Reason: q.Reason, Operator: q.Operator,
	}
	o.changes.Programme = &Programme{Version: p.Version, Source: q.Source}
	o.changes.Touched = []Touch{{Key: ItemKey{Kind: ProgrammeItem}}}
	return true, o.writeNews(body, publishedStep(p.Version))
}

func publishedStep(version uint32) SaleStep {
	return SaleStep{Sale: loyalty.SaleID(strconv.FormatUint(uint64(version), 10)), Step: Published}
}

// PublishedLine is the entry of headquarters' own journal that says that a version was published; nil: it was published
// before such entries were written.
func (b *Books) PublishedLine(ctx context.Context, version uint32) (l *Line, err error) {
	err = b.cfg.Store.View(ctx, func(tx Tx) error {
		step := publishedStep(version)
		found, err := tx.Steps([]SaleStep{step})
		l = found[step]
		return err
	})
	return l, err
}
