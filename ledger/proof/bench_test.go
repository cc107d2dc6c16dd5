package proof

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
)

// millionEntryTiles is the tiles of a tree of a million entries and a bit, made once.
var millionEntryTiles = sync.OnceValues(func() (map[TileID][]byte, Tree) {
	const n = 1_000_100
	tiles := map[TileID][]byte{}
	row := make([]Hash, n)
	for i := range row {
		row[i] = Hash{byte(i), byte(i >> 8), byte(i >> 16)}
	}
	root := rootOf(row)
	for level := uint8(0); len(row) > 0; level++ {
		var above []Hash
		for i := 0; i < len(row); i += TileWidth {
			part := row[i:min(i+TileWidth, len(row))]
			var data []byte
			for _, h := range part {
				data = append(data, h[:]...)
			}
			tiles[TileID{level, uint64(i / TileWidth), len(part)}] = data
			if len(part) == TileWidth {
				above = append(above, rootOf(part))
			}
		}
		row = above
	}
	return tiles, Tree{n, root}
})

func rootOf(row []Hash) Hash {
	if len(row) == 1 {
		return row[0]
	}
	k := largestPowerOfTwoBelow(len(row))
	return NodeHash(rootOf(row[:k]), rootOf(row[k:]))
}

func readMillionEntryTiles(_ context.Context, ids []TileID) ([][]byte, error) {
	tiles, _ := millionEntryTiles()
	out := make([][]byte, len(ids))
	for i, id := range ids {
		out[i] = tiles[id]
	}
	return out, nil
}

func BenchmarkInclusionProof(b *testing.B) {
	_, tree := millionEntryTiles()
	for name, cache := range map[string]int{"no cache": -1, "default cache": 0, "all cached": 10_000} {
		b.Run(name, func(b *testing.B) {
			tiles := NewTileReader(readMillionEntryTiles, cache)
			rng := rand.New(rand.NewPCG(1, 2))
			if cache > 0 {
				for i := uint64(0); i < tree.Size; i += TileWidth {
					if _, err := tiles.At(tree).InclusionProof(b.Context(), i); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tiles.At(tree).InclusionProof(b.Context(), rng.Uint64N(tree.Size)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "proofs/s")
		})
	}
	b.Run("256 neighbours", func(b *testing.B) {
		tiles := NewTileReader(readMillionEntryTiles, 0)
		rng := rand.New(rand.NewPCG(1, 2))
		for b.Loop() {
			first := rng.Uint64N(tree.Size - 256)
			for i := range uint64(256) {
				if _, err := tiles.At(tree).InclusionProof(b.Context(), first+i); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(256*float64(b.N)/b.Elapsed().Seconds(), "proofs/s")
	})
}

func BenchmarkConsistencyProof(b *testing.B) {
	_, tree := millionEntryTiles()
	tiles := NewTileReader(readMillionEntryTiles, 0)
	rng := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		if _, _, err := tiles.At(tree).ConsistencyProof(b.Context(), rng.Uint64N(tree.Size)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyInclusion(b *testing.B) {
	_, tree := millionEntryTiles()
	in, err := NewTileReader(readMillionEntryTiles, 0).At(tree).InclusionProof(b.Context(), 123_456)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := VerifyInclusion(in.Leaf, in.Index, in.Path, tree); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyReceipt(b *testing.B) {
	p, err := ParsePolicy(golden(b, "policy.txt"))
	if err != nil {
		b.Fatal(err)
	}
	text := golden(b, "one.tlog-proof") // six signatures, three of them ML-DSA
	for b.Loop() {
		r, err := ParseReceipt(text)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Verify(p, testTime); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignCheckpoint(b *testing.B) {
	c := newTestKeys(b)
	cp := Checkpoint{testOrigin, 13, LeafHash(nil)}
	for name, signers := range map[string][]*Signer{"Ed25519": {c.log}, "both": {c.log, c.logPQ}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := SignCheckpoint(cp, signers...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFormatReceipt(b *testing.B) {
	r, err := ParseReceipt(golden(b, "one.tlog-proof"))
	if err != nil {
		b.Fatal(err)
	}
	r.Entry = make([]byte, 1200)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Format(); err != nil {
			b.Fatal(err)
		}
	}
}
