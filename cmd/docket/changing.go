package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// changes says field by field what a record changes against the one that it
// follows; nothing where it opens its thread or the thread is not known here.
func (g *baseState) changes(ctx context.Context, st *record.Statement) ([]string, error) {
	v, err := g.view()
	if err != nil || v == nil || st.Follows.IsZero() {
		return nil, err
	}
	if am, ok := st.Predicate.(*record.Amendment); ok {
		return diffAmendment(v, st.Thread, am)
	}
	if k, ok := st.Predicate.(*record.Keys); ok {
		return g.diffKeys(k)
	}
	old, err := v.Record(st.Follows)
	var absent *register.AbsentError
	if errors.As(err, &absent) {
		return []string{fmt.Sprintf("the record that it follows is not known here (%v)", err)}, nil
	} else if err != nil {
		return nil, err
	}
	if old.Kind != st.Kind || g.trust == nil {
		return []string{fmt.Sprintf("follows %s %s record at index %d, admitted %s", article(old.Kind), old.Kind, old.Index, formatTime(old.Admitted))}, nil
	}
	before, err := g.statementAt(ctx, old.Index)
	if err != nil {
		return nil, err
	}
	return diffLeaves(flattenChangeable(before), flattenChangeable(st)), nil
}

// flattenChangeable is what a statement says but for its ledger, which a thread never
// changes: only the charter that opens it names none.
func flattenChangeable(st *record.Statement) []leafValue {
	return slices.DeleteFunc(flatten(st), func(s leafValue) bool { return s.pointer == "/ledger" })
}

// diffKeys says what becomes of a party's keys. What the keys record before this one
// did has nothing to do with it.
func (g *baseState) diffKeys(k *record.Keys) (lines []string, err error) {
	for _, add := range k.Add {
		key, err := add.Key.Key()
		if err != nil {
			return nil, refusal("the key of %s: %w", add.Holder, err)
		}
		lines = append(lines, fmt.Sprintf("adds %s (%s, %s)", add.Holder, add.Use, key.ID()))
	}
	for _, r := range k.Revoke {
		h, ok, err := g.register.KeyHolder(r.KeyID)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			lines = append(lines, fmt.Sprintf("revokes %s, which is not enrolled", r.KeyID))
		default:
			lines = append(lines, fmt.Sprintf("revokes %s (%s, %s, enrolled at #%d)", h.Holder, h.Use, r.KeyID, h.Added))
		}
	}
	return lines, nil
}

// article is what English puts before a kind's name.
func article(k record.Kind) string {
	if strings.ContainsRune("aeiou", rune(k[0])) {
		return "an"
	}
	return "a"
}

// diffAmendment applies an amendment to the designation as it stands.
func diffAmendment(v *register.View, thread string, am *record.Amendment) ([]string, error) {
	d, err := v.Designation(thread, time.Now())
	var absent *register.AbsentError
	if errors.As(err, &absent) {
		return []string{err.Error()}, nil
	} else if err != nil {
		return nil, err
	}
	_, changes, err := record.Amend(&d.Current, am)
	if err != nil {
		return nil, refusal("as %s stands: %w", thread, err)
	}
	lines := make([]string, len(changes))
	for i, c := range changes {
		lines[i] = c.String()
	}
	if am.ReopensDuty() {
		lines = append(lines, "re-opens the duty to respond")
	}
	return lines, nil
}

// leafValue is one scalar of a statement, by its JSON pointer.
type leafValue struct{ pointer, value string }

// flatten is all that a statement says, apart from where on the ledger and when:
// what makes two records say the same (DESIGN.md section 8, submit).
func flatten(st *record.Statement) []leafValue {
	all := []leafValue{{"/subject", fmt.Sprintf("%x", st.Subject.SHA256)}}
	for _, m := range st.Object() {
		if m.Name != "issuedAt" && m.Name != "follows" {
			all = appendLeaves(all, "/"+m.Name, m.Value)
		}
	}
	return all
}

func appendLeaves(all []leafValue, pointer string, v any) []leafValue {
	switch v := v.(type) {
	case record.Object:
		for _, m := range v {
			all = appendLeaves(all, pointer+"/"+m.Name, m.Value)
		}
		return all
	case []any:
		for i, item := range v {
			all = appendLeaves(all, pointer+"/"+strconv.Itoa(i), item)
		}
		return append(all, leafValue{pointer + "/#", strconv.Itoa(len(v))})
	}
	return append(all, leafValue{pointer, fmt.Sprint(v)})
}

// diffLeaves are lines "field: old → new", in the order of the new, then what is gone.
func diffLeaves(old, new []leafValue) []string {
	was := make(map[string]string, len(old))
	for _, s := range old {
		was[s.pointer] = s.value
	}
	is := make(map[string]bool, len(new))
	var lines []string
	for _, s := range new {
		is[s.pointer] = true
		before, there := was[s.pointer]
		switch {
		case !there:
			lines = append(lines, fmt.Sprintf("%s: + %s", s.pointer, s.value))
		case before != s.value && strings.Contains(before+s.value, "\n"):
			lines = append(lines, diffLines(s.pointer, before, s.value)...)
		case before != s.value:
			lines = append(lines, fmt.Sprintf("%s: %s → %s", s.pointer, before, s.value))
		}
	}
	for _, s := range old {
		if !is[s.pointer] {
			lines = append(lines, fmt.Sprintf("%s: − %s", s.pointer, s.value))
		}
	}
	return lines
}

// diffLines says of a text of several lines, a policy as a rule or a key, which are
// gone and which came.
func diffLines(pointer, old, new string) (lines []string) {
	if key, err := record.PEM(new).Key(); err == nil {
		was := "another key"
		if k, err := record.PEM(old).Key(); err == nil {
			was = k.ID()
		}
		return []string{fmt.Sprintf("%s: %s → %s", pointer, was, key.ID())}
	}
	before, after := strings.Split(strings.TrimSuffix(old, "\n"), "\n"), strings.Split(strings.TrimSuffix(new, "\n"), "\n")
	for _, l := range before {
		if !slices.Contains(after, l) {
			lines = append(lines, fmt.Sprintf("%s: − %s", pointer, shortened(l)))
		}
	}
	for _, l := range after {
		if !slices.Contains(before, l) {
			lines = append(lines, fmt.Sprintf("%s: + %s", pointer, shortened(l)))
		}
	}
	if lines == nil {
		lines = append(lines, pointer+": the same lines in another order, or not as often")
	}
	return lines
}

// sameContent tells whether two records say the same. A commitment says the same as
// another if the salts of both, kept by the signer, open them to one value.
func sameContent(old, new *record.Statement, oldSalts, newSalts []record.Opening) bool {
	if old.Kind != new.Kind || old.Ledger != new.Ledger {
		return false
	}
	alike := make(map[string]bool)
	for _, n := range newSalts {
		for _, o := range oldSalts {
			if o.Pointer == n.Pointer && o.Value == n.Value && saltOpens(old, o) {
				alike[n.Pointer] = true
			}
		}
	}
	a, b := flatten(old), flatten(new)
	if len(a) != len(b) {
		return false
	}
	was := make(map[string]string, len(a))
	for _, s := range a {
		was[s.pointer] = s.value
	}
	for _, s := range b {
		before, there := was[s.pointer]
		if !there || before != s.value && !alike[s.pointer] && !alike[parentPointer(s.pointer)] {
			return false
		}
	}
	return true
}

// saltOpens tells whether a salt opens the commitment at its pointer.
func saltOpens(st *record.Statement, salt record.Opening) bool {
	want := salt.Commit(st.Ledger, st.Thread).Commit
	for _, s := range flatten(st) {
		if (s.pointer == salt.Pointer || parentPointer(s.pointer) == salt.Pointer) && s.value == want {
			return true
		}
	}
	return false
}

// parentPointer is the pointer of the object that holds a member.
func parentPointer(pointer string) string {
	for i := len(pointer) - 1; i >= 0; i-- {
		if pointer[i] == '/' {
			return pointer[:i]
		}
	}
	return ""
}
