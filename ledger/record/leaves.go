package record

import (
	"fmt"
	"strconv"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Leaf is one scalar of a statement as text, by its JSON pointer from the predicate; or,
// at a list's pointer and "/#", how many items that has.
type Leaf struct{ Pointer, Value string }

// Leaves are a statement's subject ("/subject") and the leaves of its predicate, in the
// order of the schema, without issuedAt and follows: two records with the same leaves say
// the same (DESIGN.md section 8, submit).
func (s *Statement) Leaves() []Leaf {
	all := []Leaf{{"/subject", fmt.Sprintf("%x", s.Subject.SHA256)}}
	for _, m := range s.Object() {
		if m.Name != "issuedAt" && m.Name != "follows" {
			walkLeaves("/"+schema.EscapePointer(m.Name), m.Value, func(pointer string, v any) {
				all = append(all, Leaf{pointer, fmt.Sprint(v)})
			})
		}
	}
	return all
}

// walkLeaves shows visit each scalar of a tree, and how many items each list has.
func walkLeaves(pointer string, v any, visit func(pointer string, v any)) {
	switch v := v.(type) {
	case schema.Object:
		for _, m := range v {
			walkLeaves(pointer+"/"+schema.EscapePointer(m.Name), m.Value, visit)
		}
	case []any:
		for i, item := range v {
			walkLeaves(pointer+"/"+strconv.Itoa(i), item, visit)
		}
		visit(pointer+"/#", len(v))
	default:
		visit(pointer, v)
	}
}

// DiffLeaves is what became of each leaf that differs, by pointer: in the order of the
// new, then what is gone. The changes have no Op.
func DiffLeaves(old, new []Leaf) (changes []Change) {
	was, is := make(map[string]string, len(old)), make(map[string]bool, len(new))
	for _, l := range old {
		was[l.Pointer] = l.Value
	}
	for _, l := range new {
		is[l.Pointer] = true
		if before, there := was[l.Pointer]; !there || before != l.Value {
			changes = append(changes, Change{Path: l.Pointer, Old: before, New: l.Value})
		}
	}
	for _, l := range old {
		if !is[l.Pointer] {
			changes = append(changes, Change{Path: l.Pointer, Old: l.Value})
		}
	}
	return changes
}
