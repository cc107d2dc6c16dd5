package event

import (
	"bytes"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Checked is an input that breaks no rule, with its content in its one way: only
// [ParseChecked] and [Input.Checked] make one, so that nobody has to look again.
type Checked struct {
	input   Input
	content []byte  // as AppendContent writes it
	values  []Value // of the content
}

// ParseChecked is [ParseInput] of what is to be logged. With faults there is nothing but the input.
func ParseChecked(raw []byte) (Checked, []schema.Fault) {
	in, scanned, faults := parseInput(raw)
	if len(faults) > 0 {
		return Checked{input: in}, faults
	}
	c := Checked{input: in, content: AppendContent(make([]byte, 0, 128), in.Content)}
	// Most people write a content in its one way: then what was scanned is what is in it.
	var room [512]byte
	if written := schema.AppendJSON(room[:0], scanned); bytes.Equal(written, c.content) {
		c.values = valuesIn(scanned)
	} else {
		c.values = valuesOf(c.content)
	}
	return c, nil
}

// Account is the provider's own name of the customer's account.
func (c Checked) Account() string { return c.input.Account }

// ID is the provider's own of the event.
func (c Checked) ID() string { return c.input.ID }

// Kind is what is told.
func (c Checked) Kind() Kind { return c.input.Kind }

// PrepareInput is [Scope.Prepare] of an input's event, with a salt of its own.
func (s Scope) PrepareInput(h Handle, c Checked) *Prepared {
	in := c.input
	e := &Event{
		Header: Header{Handle: h, Kind: in.Kind, Time: in.Time.UTC().Truncate(time.Millisecond)},
		ID:     in.ID, Salt: NewSalt(), Content: in.Content,
	}
	return s.prepare(e, c.content, c.values)
}
