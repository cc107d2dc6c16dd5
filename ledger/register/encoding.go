package register

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// The values of all rows but those of one number are CBOR (RFC 8949) in its core
// deterministic encoding (section 4.2.1), so that the same entries give the same bytes.
// Fields have numbers, which belong to FormatVersion, and no name of this code; what a
// state has of a record has the members' names. Dates and record IDs are byte strings.

// ErrDamaged is a register that this binary cannot read: rows that this code did not
// write, a file that is damaged, another format or other rules. Replaying brings it back.
var ErrDamaged = errors.New("the register is damaged")

// maxRowBytes bounds the value of a row: several times what the longest record, or a
// state with all that it may hold, comes to.
const maxRowBytes = 1 << 20

var rowEncoder = must(cbor.EncOptions{
	Sort:          cbor.SortCoreDeterministic,
	ShortestFloat: cbor.ShortestFloat16,
	NaNConvert:    cbor.NaNConvert7e00,
	InfConvert:    cbor.InfConvertFloat16,
	IndefLength:   cbor.IndefLengthForbidden,
	Time:          cbor.TimeRFC3339NanoUTC,
}.EncMode())

// rowDecoder takes one value, and nothing after it, of which it knows every field.
var rowDecoder = must(cbor.DecOptions{
	DupMapKey:         cbor.DupMapKeyEnforcedAPF,
	IndefLength:       cbor.IndefLengthForbidden,
	TagsMd:            cbor.TagsForbidden,
	FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
}.DecMode())

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // the options contradict each other
	}
	return v
}

func encodeRow(v any) ([]byte, error) { return rowEncoder.Marshal(v) }

// decodeRow reads a value into v. What this code did not write is [ErrDamaged].
func decodeRow(b []byte, v any) error {
	if len(b) > maxRowBytes {
		return fmt.Errorf("%d bytes, at most %d are read: %w", len(b), maxRowBytes, ErrDamaged)
	}
	if err := rowDecoder.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}
