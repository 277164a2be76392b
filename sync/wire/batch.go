package wire

import (
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// Schema is the version of the messages that this code speaks.
const Schema = 1

// MaxBatch bounds a batch, in entries.
const MaxBatch = 500

// maxBody bounds a batch's entries, in bytes with their lengths, so that the batch around them is within [MaxMessage].
const maxBody = MaxMessage - 256

const flagZstd = 1

// minPack is the size in bytes below which a body is not compressed: a dozen entries have little in common.
const minPack = 1024

// worthIt is the share that compression must save: below a tenth the other end's work is not worth the bytes.
const worthIt = 0.9

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// The coders keep no state between calls and may be called by many at once. They are made once because each holds a
// megabyte of tables.
var (
	compressor   = newCompressor()
	decompressor = newDecompressor()
)

func newCompressor() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(128<<10), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // the options are constants
	}
	e.EncodeAll(nil, nil) // its tables are otherwise made by the first caller
	return e
}

func newDecompressor() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxBody), zstd.WithDecoderMaxWindow(256<<10))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
}

// Batch is a run of consecutive entries of one journal. What [OpenBatch] returns is whole: checksum, bounds, and the
// chain from Prev through every entry have been checked. Whether Prev is the reader's own last hash is for the reader.
type Batch struct {
	Epoch   loyalty.Epoch
	First   loyalty.Seq // the place of Entries[0]
	Prev    Hash        // the chain before Entries[0]
	Entries [][]byte    // as encoded by the station; they share one buffer
	Hashes  []Hash      // the chain after each entry
	Forms   [][]byte    // sealed forms, which entries name by their hashes; whether one does is for the reader
}

// Form is a sealed form on its way, beside the entry that names it.
type Form struct {
	Seq   loyalty.Seq // of the entry
	Bytes []byte      // at most [loyalty.MaxForm]
}

// Last is the place of the last entry.
func (b *Batch) Last() loyalty.Seq { return b.First + loyalty.Seq(len(b.Entries)) - 1 }

// LastHash is the chain after the last entry.
func (b *Batch) LastHash() Hash { return b.Hashes[len(b.Hashes)-1] }

// SealBatch makes the message of a run of entries that begins at first, where the chain stands at prev. It takes the
// entries from the front as long as they fit a message, at least one and at most [MaxBatch], and says how many it took and
// where the chain stands after them. Of forms it takes those of the entries it took.
func SealBatch(epoch loyalty.Epoch, first loyalty.Seq, prev Hash, entries [][]byte, forms ...Form) (payload []byte, taken int, last Hash, err error) {
	last = prev
	size, beside := 0, 0
	var taking [][]byte
	for taken < len(entries) && taken < MaxBatch {
		n := 1 + protowire.SizeBytes(len(entries[taken]))
		with, m := formsOf(forms, first+loyalty.Seq(taken))
		if size+n+beside+m > maxBody {
			break
		}
		size, beside, taking = size+n, beside+m, append(taking, with...)
		last = last.Next(entries[taken])
		taken++
	}
	if taken == 0 {
		return nil, 0, prev, fmt.Errorf("%w: a batch needs an entry of at most %d bytes", ErrMessage, MaxEntry)
	}
	body := make([]byte, 0, size)
	for _, e := range entries[:taken] {
		body = protowire.AppendTag(body, 1, protowire.BytesType)
		body = protowire.AppendBytes(body, e)
	}
	m := &pb.Batch{
		Schema: Schema, Epoch: uint32(epoch), FirstSeq: uint64(first), Count: uint32(taken), PrevHash: prev[:], LastHash: last[:], Body: body, Form: taking,
	}
	if size >= minPack {
		if c := compressor.EncodeAll(body, make([]byte, 0, size)); float64(len(c)) <= worthIt*float64(size) {
			m.Flags, m.Body = flagZstd, c
		}
	}
	m.Crc32C = crc32.Checksum(m.Body, castagnoli)
	payload, err = m.MarshalVT()
	return payload, taken, last, err
}

// formsOf are the forms of an entry, and their size in a message.
func formsOf(forms []Form, seq loyalty.Seq) (of [][]byte, size int) {
	for _, f := range forms {
		if f.Seq == seq && len(f.Bytes) <= loyalty.MaxForm {
			of, size = append(of, f.Bytes), size+1+protowire.SizeBytes(len(f.Bytes))
		}
	}
	return of, size
}

// OpenBatch reads the message of a batch and checks it. Every error is an [ErrMessage].
func OpenBatch(payload []byte) (*Batch, error) {
	m, err := Decode[pb.Batch](payload)
	if err != nil {
		return nil, err
	}
	switch {
	case m.Schema != Schema:
		return nil, fmt.Errorf("%w: batch of schema %d, this program reads %d", ErrMessage, m.Schema, Schema)
	case m.Flags&^flagZstd != 0:
		return nil, fmt.Errorf("%w: batch with flags %#x", ErrMessage, m.Flags)
	case m.Epoch == 0 || m.FirstSeq == 0 || m.FirstSeq > 1<<62:
		return nil, fmt.Errorf("%w: batch at epoch %d, seq %d", ErrMessage, m.Epoch, m.FirstSeq)
	case m.Count == 0 || m.Count > MaxBatch:
		return nil, fmt.Errorf("%w: batch of %d entries", ErrMessage, m.Count)
	case crc32.Checksum(m.Body, castagnoli) != m.Crc32C:
		return nil, fmt.Errorf("%w: batch with a wrong checksum", ErrMessage)
	}
	b := &Batch{Epoch: loyalty.Epoch(m.Epoch), First: loyalty.Seq(m.FirstSeq), Forms: m.Form}
	for _, f := range m.Form {
		if len(f) > loyalty.MaxForm || len(m.Form) > int(m.Count) {
			return nil, fmt.Errorf("%w: batch with %d forms, one of %d bytes", ErrMessage, len(m.Form), len(f))
		}
	}
	if b.Prev, err = ParseHash(m.PrevHash); err != nil {
		return nil, err
	}
	last, err := ParseHash(m.LastHash)
	if err != nil {
		return nil, err
	}
	body := m.Body
	if m.Flags&flagZstd != 0 {
		if body, err = decompressor.DecodeAll(body, nil); err != nil {
			return nil, fmt.Errorf("%w: batch: %w", ErrMessage, err)
		}
	}
	if b.Entries, err = cutEntries(body, int(m.Count)); err != nil {
		return nil, err
	}
	b.Hashes = make([]Hash, len(b.Entries))
	h := b.Prev
	for i, e := range b.Entries {
		h = h.Next(e)
		b.Hashes[i] = h
	}
	if h != last {
		return nil, fmt.Errorf("%w: the chain of the batch ends at %s, it says %s", ErrMessage, h, last)
	}
	return b, nil
}

// cutEntries reads an Entries message without copying.
func cutEntries(body []byte, count int) ([][]byte, error) {
	if len(body) > maxBody {
		return nil, fmt.Errorf("%w: batch body of %d bytes", ErrMessage, len(body))
	}
	entries := make([][]byte, 0, count)
	for len(body) > 0 {
		num, typ, n := protowire.ConsumeTag(body)
		if n < 0 || num != 1 || typ != protowire.BytesType {
			return nil, fmt.Errorf("%w: batch body", ErrMessage)
		}
		body = body[n:]
		e, n := protowire.ConsumeBytes(body)
		if n < 0 || len(e) > MaxEntry || len(entries) == count {
			return nil, fmt.Errorf("%w: batch body", ErrMessage)
		}
		entries = append(entries, e[:len(e):len(e)])
		body = body[n:]
	}
	if len(entries) != count {
		return nil, fmt.Errorf("%w: batch of %d entries holds %d", ErrMessage, count, len(entries))
	}
	return entries, nil
}
