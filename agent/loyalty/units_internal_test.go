package loyalty

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestMulDivAgainstBigIntegers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Int64Range(0, math.MaxInt64).Draw(t, "a")
		b := rapid.Int64Range(0, math.MaxInt64).Draw(t, "b")
		c := rapid.Int64Range(1, math.MaxInt64).Draw(t, "c")
		q, r := new(big.Int).DivMod(new(big.Int).Mul(big.NewInt(a), big.NewInt(b)), big.NewInt(c), new(big.Int))
		want := int64(math.MaxInt64)
		if q.IsInt64() {
			want = q.Int64()
		}
		if got := mulDiv(a, b, c); got != want {
			t.Fatalf("mulDiv is %d, want %d", got, want)
		}
		if got := remainder(uint64(a), uint64(b), uint64(c)); got != r.Uint64() {
			t.Fatalf("remainder is %d, want %d", got, r)
		}
	})
}

func TestMulDivAtItsEdges(t *testing.T) {
	const most = math.MaxInt64
	for _, tt := range []struct{ a, b, c, want int64 }{
		{0, most, 1, 0},
		{7, 1, 2, 3},
		{most, most, most, most},
		{most, 2, 1, most},
		{most, most, 1, most},
		{most - 1, 1, most, 0},
		{MaxAmount, MaxAmount, MaxAmount, MaxAmount},
	} {
		if got := mulDiv(tt.a, tt.b, tt.c); got != tt.want {
			t.Errorf("mulDiv(%d, %d, %d) is %d, want %d", tt.a, tt.b, tt.c, got, tt.want)
		}
	}
}
