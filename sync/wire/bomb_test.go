package wire

import (
	"hash/crc32"

	"github.com/klauspost/compress/zstd"

	"github.com/azs-edge/azs-edge/sync/wire/pb"
)

// ZstdBomb is a batch whose body unpacks to n bytes.
func ZstdBomb(n int) []byte {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	body := e.EncodeAll(make([]byte, n), nil)
	b, err := (&pb.Batch{
		Schema: Schema, Flags: flagZstd, Epoch: 1, FirstSeq: 1, Count: 1, Body: body, Crc32C: crc32.Checksum(body, castagnoli),
		PrevHash: make([]byte, 32), LastHash: make([]byte, 32),
	}).MarshalVT()
	if err != nil {
		panic(err)
	}
	return b
}
