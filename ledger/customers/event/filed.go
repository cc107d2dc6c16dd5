package event

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Filed is which leaves are filed under a handle: how many, and a running digest over their
// indexes in ascending order, from 32 zero bytes on:
//
//	digest = SHA-256("docket-filed/v1\n" ‖ digest before ‖ index, 8 bytes big-endian)
//
// Whoever is given the list recomputes it, and a log keeps it up event by event, however
// many there are.
type Filed struct {
	Leaves uint64
	Digest [sha256.Size]byte
}

const filedHeader = "docket-filed/v1\n"

// Add is f and one more leaf, behind all others.
func (f Filed) Add(index uint64) Filed {
	b := append(make([]byte, 0, len(filedHeader)+len(f.Digest)+8), filedHeader...)
	b = append(b, f.Digest[:]...)
	return Filed{f.Leaves + 1, sha256.Sum256(binary.BigEndian.AppendUint64(b, index))}
}

// FiledOf is that of these leaf indexes, which ascend.
func FiledOf(indexes []uint64) (f Filed) {
	for _, i := range indexes {
		f = f.Add(i)
	}
	return f
}

// String is the number in decimal, a space, and the digest in hexadecimal.
func (f Filed) String() string {
	return strconv.FormatUint(f.Leaves, 10) + " " + hex.EncodeToString(f.Digest[:])
}

// ParseFiled reads what [Filed.String] wrote.
func ParseFiled(s string) (f Filed, err error) {
	number, digest, _ := strings.Cut(s, " ")
	f.Leaves, err = strconv.ParseUint(number, 10, 64)
	if b, hexErr := hex.DecodeString(digest); err == nil && hexErr == nil && len(b) == len(f.Digest) {
		copy(f.Digest[:], b)
		if f.String() == s {
			return f, nil
		}
	}
	return Filed{}, fmt.Errorf("%s is not a number of leaves and their digest", schema.Quote(s))
}

// FiledOpening opens the value of a handle in a period's map.
func FiledOpening(salt Salt, f Filed) record.Opening {
	return record.Opening{Pointer: pointerFiled, Value: f.String(), Salt: salt[:]}
}

// FiledValue is the value of a handle in a period's map: the commitment to what is filed
// under it, which the opening opens.
func (s Scope) FiledValue(o record.Opening) [32]byte { return o.Sum(s.Ledger, s.Thread) }

// VerifyFiled reads an opening of a handle's value in a period's map.
func (s Scope) VerifyFiled(value [32]byte, o record.Opening) (Filed, error) {
	if o.Pointer != pointerFiled {
		return Filed{}, fmt.Errorf("the opening is at %s, not at %s", schema.Quote(o.Pointer), pointerFiled)
	}
	if err := s.verify(value, o); err != nil {
		return Filed{}, err
	}
	return ParseFiled(o.Value)
}

// MapKey is where a handle stands in the map, under the log's map salt.
func MapKey(mapSalt []byte, h Handle) [32]byte {
	return sha256.Sum256(append(append(make([]byte, 0, 48), mapSalt...), h[:]...))
}

// MapSaltName is the text at whose key a map has the value of its own salt: so one map has
// one salt, and no handle is absent under another.
const MapSaltName = "salt"

// MapSaltValue is the value there: SHA-256("docket-map-salt/v1\n" ‖ salt).
func MapSaltValue(mapSalt []byte) [32]byte {
	return sha256.Sum256(append([]byte("docket-map-salt/v1\n"), mapSalt...))
}
