package embedded

import (
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

func TestRecordsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := func(name string) loyalty.Points { return loyalty.Points(rapid.Int64Range(0, 1<<40).Draw(t, name)) }
		r := &loyalty.Record{Version: rapid.Uint64().Draw(t, "version")}
		r.Account.ID = 7
		r.Account.State = loyalty.State(rapid.IntRange(0, 3).Draw(t, "state"))
		for i := range rapid.IntRange(0, 4).Draw(t, "lots") {
			r.Account.Lots = append(r.Account.Lots, loyalty.Lot{Amount: 1 + points("amount"), ActiveFrom: loyalty.Instant(rapid.Int64Range(0, 1<<50).Draw(t, "from")), Expires: loyalty.Instant(i + 1)})
		}
		for range rapid.IntRange(0, 4).Draw(t, "cells") {
			if r.Cells == nil {
				r.Cells = map[loyalty.CellKey]loyalty.Rights{}
			}
			r.Cells[loyalty.CellKey{Station: loyalty.StationID(rapid.Uint32().Draw(t, "station")), Epoch: loyalty.Epoch(rapid.Uint32().Draw(t, "epoch"))}] = loyalty.Rights{
				Issued: points("I"), Statement: loyalty.Statement{Used: points("U"), Voided: points("V"), Returned: points("R")}, Posted: points("P"),
			}
		}
		newest := rapid.Uint64().Draw(t, "newest")
		b, err := encodeRecord(newest, r)
		if err != nil {
			t.Fatal(err)
		}
		n, got, err := decodeRecord(7, b)
		if err != nil || n != newest || !reflect.DeepEqual(got, r) {
			t.Fatalf("%+v came back as %+v: %v", r, got, err)
		}
	})
}

// TestErrorsShowNoCard: whichever key has a wrong value, its error shows no more of a card's number than a mask does.
func TestErrorsShowNoCard(t *testing.T) {
	const card = loyalty.CardNumber("7005110000000011")
	at := placeKey(hq.Place{Station: 17, Epoch: 1, Seq: 4})
	item := itemKey(hq.ItemKey{Kind: hq.CardItem, Card: card})
	keys := [][]byte{
		[]byte(card), append(u64(loyalty.AccountID(5)), card...), append(u32(loyalty.StationID(17)), item...), waitingKey(card, at), item,
		[]byte("70051100"),
	}
	for _, key := range keys {
		_, err1 := unseal(key, []byte{1})
		_, err2 := unseal(key, []byte("wrong"))
		_, err3 := itemKeyOf(append([]byte{'x'}, key...))
		for _, err := range []error{err1, err2, err3} {
			if err == nil {
				t.Fatalf("%x is believed", key)
			}
			for _, shows := range []string{"00511", hex.EncodeToString([]byte("00511"))} {
				if strings.Contains(err.Error(), shows) {
					t.Errorf("%s shows %s", err, shows)
				}
			}
		}
	}
	if _, err := unseal(u32(loyalty.StationID(17)), nil); !strings.Contains(err.Error(), "00000011") {
		t.Errorf("%s does not name the station", err)
	}
}

// FuzzValues: whatever a value holds, its decoder says so or returns something; it neither panics nor grows.
func FuzzValues(f *testing.F) {
	record, err := encodeRecord(9, &loyalty.Record{
		Account: loyalty.Account{ID: 1, Lots: []loyalty.Lot{{Amount: 5}}}, Cells: map[loyalty.CellKey]loyalty.Rights{{Station: 1}: {Issued: 4}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record)
	f.Add(encodeLine(&hq.Line{Reason: "x", Bytes: []byte("entry")}))
	f.Add(encodeStation(&hq.Station{Forked: true}))
	f.Add(encodeSighting(&hq.Sighting{Version: "1"}))
	f.Add(encodeAlarm(&hq.Alarm{Text: "x", Evidence: []byte{1}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, r, err := decodeRecord(1, b); err == nil && len(r.Account.Lots)+len(r.Cells) > len(b) {
			t.Fatal("a record larger than its bytes")
		}
		if l, err := decodeLine(hq.Place{}, b); err == nil && len(l.Reason)+len(l.Bytes) > len(b) {
			t.Fatal("a line larger than its bytes")
		}
		if s, err := decodeStation(1, b); err == nil {
			if again, err := decodeStation(1, encodeStation(s)); err != nil || *again != *s {
				t.Fatalf("%+v came back as %+v", s, again)
			}
		}
		if form, err := decodeForm(loyalty.FormHash{1}, b); err == nil && len(form.Sealed)+len(form.Card) > len(b) {
			t.Fatal("a form larger than its bytes")
		}
		_, _ = decodeSighting(1, b)
		_, _ = decodeAlarm(hq.Alarm{}, b)
		_, _ = decodeCard(b)
		_, _ = itemKeyOf(b)
		_, _ = unseal([]byte("key"), b)
	})
}
