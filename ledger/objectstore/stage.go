package objectstore

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// stageName names a staged object, and so all of its bytes: entries [From, Size) of the tree
// with that root, and tiles. Old is the size from which the head is swapped; a stage that
// begins before it stands in for those before it too.
type stageName struct {
	From uint64 `json:"from"`
	Old  uint64 `json:"old"`
	Size uint64 `json:"size"`
	Root root   `json:"root"`
}

// root is a root hash, in hexadecimal where it is written.
type root proof.Hash

// MarshalText implements [encoding.TextMarshaler].
func (r root) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, r[:]), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (r *root) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(r) {
		return fmt.Errorf("a root of %d characters", len(text))
	}
	copy(r[:], b)
	return nil
}

// key sorts by the old size.
func (n stageName) key() string {
	return fmt.Sprintf("%020d-%020d-%020d-%x", n.Old, n.Size, n.From, n.Root[:])
}

// parseStageKey reads [stageName.key]. Listings may show the names of others.
func parseStageKey(key string) (n stageName, ok bool) {
	parts := strings.Split(key, "-")
	if len(parts) != 4 {
		return n, false
	}
	for i, to := range []*uint64{&n.Old, &n.Size, &n.From} {
		v, err := strconv.ParseUint(parts[i], 10, 64)
		if err != nil {
			return n, false
		}
		*to = v
	}
	if err := n.Root.UnmarshalText([]byte(parts[3])); err != nil {
		return n, false
	}
	return n, n.key() == key
}

// has says that the stage has the tile as its tree has it: all that grew since From, and of
// one that stands in for others, all partial ones.
func (n stageName) has(level uint8, index uint64) bool {
	is := tileWidth(n.Size, level, index)
	return is > tileWidth(n.From, level, index) || is > 0 && is < proof.TileWidth && n.From < n.Old
}

// stage is the content of a staged object.
type stage struct {
	Format  int         `cbor:"1,keyasint"`
	Entries [][]byte    `cbor:"2,keyasint"`
	Tiles   []stageTile `cbor:"3,keyasint"`

	name stageName
}

type stageTile struct {
	_      struct{} `cbor:",toarray"`
	Level  uint8
	Index  uint64
	Hashes []byte
}

var (
	stageEncoding = func() cbor.EncMode {
		m, err := cbor.CoreDetEncOptions().EncMode() // the same bytes under the same name
		if err != nil {
			panic(err)
		}
		return m
	}()
	stageDecoding = func() cbor.DecMode {
		m, err := cbor.DecOptions{MaxArrayElements: 1 << 24}.DecMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
)

func newStage(name stageName, entries [][]byte, tiles []proof.Tile) *stage {
	s := &stage{Format: format, Entries: entries, name: name}
	for _, t := range tiles {
		s.Tiles = append(s.Tiles, stageTile{Level: t.ID.Level, Index: t.ID.Index, Hashes: t.Hashes})
	}
	return s
}

func (s *stage) encode() ([]byte, error) { return stageEncoding.Marshal(s) }

func parseStage(name stageName, data []byte) (*stage, error) {
	s := &stage{name: name}
	err := stageDecoding.Unmarshal(data, s)
	if err == nil && s.Format != format {
		err = fmt.Errorf("of format %d", s.Format)
	}
	if err == nil && uint64(len(s.Entries)) != name.Size-name.From {
		err = fmt.Errorf("of %d entries", len(s.Entries))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: stage %s: %w", ledger.ErrCorrupt, name.key(), err)
	}
	return s, nil
}

// tile is the tile's hashes; nil if the stage has none of it.
func (s *stage) tile(level uint8, index uint64) []byte {
	for _, t := range s.Tiles {
		if t.Level == level && t.Index == index {
			return t.Hashes
		}
	}
	return nil
}

// clone is a stage that shares nothing with what it was made of.
func (s *stage) clone() *stage {
	c := &stage{Format: s.Format, name: s.name, Entries: make([][]byte, len(s.Entries)), Tiles: make([]stageTile, len(s.Tiles))}
	for i, e := range s.Entries {
		c.Entries[i] = bytes.Clone(e)
	}
	for i, t := range s.Tiles {
		c.Tiles[i] = stageTile{Level: t.Level, Index: t.Index, Hashes: bytes.Clone(t.Hashes)}
	}
	return c
}

// tileWidth is how many hashes of a tile a tree of that size has.
func tileWidth(size uint64, level uint8, index uint64) int {
	hashes, start := size>>(uint(level)*proof.TileHeight), index*proof.TileWidth
	if start/proof.TileWidth != index || hashes <= start {
		return 0
	}
	return int(min(hashes-start, proof.TileWidth))
}
