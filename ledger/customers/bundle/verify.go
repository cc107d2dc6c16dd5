package bundle

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/index"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Public is what the public ledger says, each record verified by whoever calls: by a copy of
// the ledger, or by the bundle's chains and the charter's ID.
type Public struct {
	Request Record   // the demand
	Logs    []Record // customer-log records of the provider's thread: that which the bundle rests on, and what is known beside it
	Partial bool     // these are known by the bundle's own chains, and there may be others
}

// Record is a verified record of the public ledger.
type Record struct {
	ID        record.ID
	Index     uint64 // of its entry
	Admitted  time.Time
	Statement *record.Statement
}

// ErrUnproven: the bundle does not prove what it says. It was altered, or who made it lies.
var ErrUnproven = errors.New("the bundle does not prove what it says")

func unproven(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnproven, fmt.Errorf(format, args...))
}

// Table is what a bundle shows, verified.
type Table struct {
	Head
	Fixed       Record // the customer-log record; zero where none fixes the log
	FixedBefore bool   // it stands in the ledger before the demand
	Until       record.Date
	Newer       Record // the newest record known from before the demand, if it covers more of the log than Fixed; else zero
	Restart     Record // the one by which the log was begun anew, if it ever was; else zero
	Partial     bool   // as [Public] has it
	Customers   []Shown
}

// Shown is what is proven of one handle.
type Shown struct {
	Handle event.Handle
	Filed  uint64 // leaves that the map files under it
	Erased *Row   // the event that says so, if the customer is erased
	Events []Row  // those that were asked for, by leaf
	Others uint64 // filed, proven to be outside of what was asked, and otherwise closed
}

// Row is an event that was asked for.
type Row struct {
	Leaf uint64
	*event.Shown
	FixedBy *Record // the earliest customer-log record known that covers it; nil: the provider's word
	Before  bool    // that record stands in the ledger before the demand
	Late    bool    // it happened, by its time, in a period that a record before had fixed without it
}

// Verify checks a bundle against the public ledger, and returns what it shows. It refuses one
// that shows not all that is filed under a handle, or opens less or more than was asked.
func (b *Bundle) Verify(p Public) (*Table, error) {
	v := verifier{bundle: b, public: p, table: &Table{Head: b.Head, Partial: p.Partial}, scope: event.NewScope(b.Head.Ledger, b.Head.Party)}
	if err := v.checkRequest(); err != nil {
		return nil, err
	}
	if err := v.checkLog(); err != nil {
		return nil, err
	}
	seen := make(map[event.Handle]bool)
	for i := range b.Customers {
		c := &b.Customers[i]
		if seen[c.Handle] {
			return nil, unproven("customer %s is shown twice", c.Handle)
		}
		seen[c.Handle] = true
		s, err := v.customer(c)
		if err != nil {
			return nil, unproven("customer %s: %w", c.Handle, err)
		}
		v.table.Customers = append(v.table.Customers, s)
	}
	return v.table, nil
}

type verifier struct {
	bundle *Bundle
	public Public
	table  *Table
	scope  event.Scope
	logs   []Record // from the newest restart on, ascending
	tree   proof.Tree
	mapped proof.Hash // the root of the map
	salt   []byte     // of its keys
}

func (v *verifier) checkRequest() error {
	r := v.public.Request
	switch p, ok := predicateOf[*record.DisclosureRequest](r); {
	case !ok:
		return unproven("no request to disclose is given that it could answer")
	case !p.Asks(): // a later record would move what counts as logged before the demand
		return unproven("it answers the record %s, which opens a request or says what became of it: only the one that asks is a demand", r.ID)
	case r.ID != v.bundle.Head.Request:
		return unproven("it answers the request %s, and the one given is %s", v.bundle.Head.Request, r.ID)
	case p.Provider.Text != "" && p.Provider.Text != v.bundle.Head.Party:
		return unproven("it is of %s, and the request asks %s", v.bundle.Head.Party, p.Provider.Text)
	case r.Statement.Ledger != v.bundle.Head.Ledger:
		return unproven("it is of the ledger %s, and the request of %s", v.bundle.Head.Ledger, r.Statement.Ledger)
	}
	return nil
}

func predicateOf[P record.Predicate](r Record) (p P, ok bool) {
	if r.Statement == nil {
		return p, false
	}
	p, ok = r.Statement.Predicate.(P)
	return p, ok
}

// checkLog finds the record that fixes the log, and verifies what it says of the map.
func (v *verifier) checkLog() error {
	log := v.bundle.Head.Log
	if log == nil {
		v.findNewer(0)
		return nil
	}
	if err := v.findLogs(log.Record); err != nil {
		return err
	}
	v.findNewer(v.table.Fixed.Index)
	fixed := v.table.Fixed
	said, _ := predicateOf[*record.CustomerLog](fixed)
	root, _ := proof.ParseHash(log.Root)
	if said.Size != log.Size || fixed.Statement.Subject.SHA256 != root {
		return unproven("it rests on a log of %d leaves with the root %s, and the public record %s says %d and %s",
			log.Size, log.Root, log.Record, said.Size, proof.Hash(fixed.Statement.Subject.SHA256))
	}
	v.tree = proof.Tree{Size: uint64(log.Size), Root: root}
	v.table.Until = said.PeriodUntil
	v.table.FixedBefore = fixed.Index < v.public.Request.Index
	return v.checkMap(log)
}

// findNewer finds what a bundle could have rested on, of the records after an index, and does not: by
// an older one, or by none, a provider keeps back what the newer ones fixed before the demand.
func (v *verifier) findNewer(after uint64) {
	for _, l := range v.ofLog() {
		said, _ := predicateOf[*record.CustomerLog](l)
		if l.Index > after && l.Index < v.public.Request.Index {
			v.table.Newer = l
		}
		if said.Restart != nil {
			v.table.Restart = l
		}
	}
}

// ofLog are the records of the provider's log, ascending.
func (v *verifier) ofLog() (logs []Record) {
	for _, l := range v.public.Logs {
		if _, ok := predicateOf[*record.CustomerLog](l); ok && l.Statement.Thread == v.scope.Thread && l.Statement.Ledger == v.scope.Ledger {
			logs = append(logs, l)
		}
	}
	slices.SortFunc(logs, func(a, b Record) int { return cmp.Compare(a.Index, b.Index) })
	return logs
}

// findLogs takes the records from the last restart on, and finds the one that the bundle names.
func (v *verifier) findLogs(id record.ID) error {
	found := false
	for _, l := range v.ofLog() {
		said, _ := predicateOf[*record.CustomerLog](l)
		if said.Restart != nil && !found {
			v.logs = nil // what was before is another log's
		} else if said.Restart != nil {
			break
		}
		v.logs = append(v.logs, l)
		if l.ID == id {
			v.table.Fixed, found = l, true
		}
	}
	if !found {
		return unproven("it rests on the public record %s, which is not among those verified of %s: give the chain that shows it", id, v.scope.Thread)
	}
	return nil
}

func (v *verifier) checkMap(log *Log) error {
	commitSalt, _ := base64.StdEncoding.DecodeString(log.MapSalt)
	root, err := hex.DecodeString(log.MapRoot)
	if err != nil || len(root) != len(v.mapped) || len(commitSalt) != len(event.Salt{}) {
		return unproven("the map's root is not to be read")
	}
	v.mapped = proof.Hash(root)
	leaf := v.scope.LeafOf(event.MapOpening(event.Salt(commitSalt), v.mapped))
	path := make([]proof.Hash, len(log.MapPath))
	for i, text := range log.MapPath {
		path[i], _ = proof.ParseHash(text)
	}
	if err := proof.VerifyInclusion(proof.LeafHash(leaf), v.tree.Size-1, path, v.tree); err != nil {
		return unproven("the map is not what the log's last leaf fixes: %w", err)
	}
	v.salt, _ = base64.StdEncoding.DecodeString(log.KeySalt)
	key, err := index.NewKey(event.MapSaltName)
	if err != nil {
		return err
	}
	saltProof := new(index.Proof)
	if err := saltProof.UnmarshalText([]byte(log.KeyProof)); err != nil {
		return unproven("the proof of the map's salt: %w", err)
	}
	value, there, err := saltProof.VerifyKey(v.mapped, key)
	if err != nil || !there || value != index.Value(event.MapSaltValue(v.salt)) {
		return unproven("the salt of the map's keys is not the map's own: %w", errors.Join(errors.New("another handle's place may be shown"), err))
	}
	return nil
}

// customer verifies that the lines of a customer are all that is filed under the handle.
func (v *verifier) customer(c *Customer) (s Shown, err error) {
	s.Handle = c.Handle
	filed, err := v.filed(c)
	if err != nil {
		return s, err
	}
	s.Filed = filed.Leaves
	if c.Erased {
		return s, v.erased(c, filed, &s)
	}
	if err := v.chain(c, filed); err != nil {
		return s, err
	}
	for number, e := range c.Events {
		row, err := v.event(e)
		if err != nil {
			return s, fmt.Errorf("leaf %d: %w", e.Leaf, err)
		}
		asked, err := v.asked(c, row, number)
		if err != nil {
			return s, fmt.Errorf("leaf %d: %w", e.Leaf, err)
		}
		if asked {
			s.Events = append(s.Events, row)
		} else {
			s.Others++
		}
	}
	return s, nil
}

// filed is what the map says of a handle; nothing where no map is fixed.
func (v *verifier) filed(c *Customer) (filed event.Filed, err error) {
	if v.tree.Size == 0 {
		if c.Filed != nil || c.Proof != nil {
			return filed, errors.New("something is said of a map, and no public record fixes one")
		}
		return filed, nil
	}
	if c.Proof == nil {
		return filed, errors.New("it is not shown what the map files under the handle")
	}
	value, there, err := c.Proof.VerifyKey(v.mapped, index.HashedKey(event.MapKey(v.salt, c.Handle)))
	switch {
	case err != nil:
		return filed, fmt.Errorf("the map: %w", err)
	case there != (c.Filed != nil):
		return filed, errors.New("the map has an entry of the handle, and what it says is not opened; or the other way round")
	case there:
		return v.scope.VerifyFiled(value, *c.Filed)
	}
	return filed, nil
}

// chain holds the leaves against what the map says: all of them, no other, in order.
func (v *verifier) chain(c *Customer, filed event.Filed) error {
	var shown event.Filed
	for i, e := range c.Events {
		if i > 0 && e.Leaf <= c.Events[i-1].Leaf {
			return fmt.Errorf("leaf %d is out of order", e.Leaf)
		}
		if e.Leaf < v.tree.Size {
			shown = shown.Add(e.Leaf)
		}
	}
	if shown != filed {
		return fmt.Errorf("the map files %d leaves under it, and those shown are %d, or others: something was left out, or put in", filed.Leaves, shown.Leaves)
	}
	return nil
}

// event opens an event, and verifies that it stands in the log where a record fixes it.
func (v *verifier) event(e Event) (row Row, err error) {
	row.Leaf = e.Leaf
	if len(e.Openings) == 0 {
		return row, errors.New("nothing of it is opened")
	}
	leaf := v.scope.LeafOf(e.Openings[0])
	if row.Shown, err = v.scope.Show(leaf, e.Openings); err != nil {
		return row, err
	}
	if e.Leaf >= v.tree.Size {
		if len(e.Path) > 0 {
			return row, errors.New("it lies beyond the log that a record fixes, and there is a path for it")
		}
		return row, nil
	}
	if err := proof.VerifyInclusion(proof.LeafHash(leaf), e.Leaf, e.Path, v.tree); err != nil {
		return row, err
	}
	v.fixedBy(&row)
	return row, nil
}

// fixedBy finds the earliest record that covers a leaf, and whether the one before it had fixed the
// day already.
func (v *verifier) fixedBy(row *Row) {
	for i := range v.logs {
		said, _ := predicateOf[*record.CustomerLog](v.logs[i])
		if uint64(said.Size) <= row.Leaf {
			continue
		}
		row.FixedBy = &v.logs[i]
		row.Before = v.logs[i].Index < v.public.Request.Index
		if _, shown := row.Field("time"); shown && i > 0 {
			before, _ := predicateOf[*record.CustomerLog](v.logs[i-1])
			row.Late = !record.DateOf(row.Header().Time, time.UTC).After(before.PeriodUntil)
		}
		return
	}
}

// asked tells an event that was asked for from one that was not, by what is opened of it.
func (v *verifier) asked(c *Customer, row Row, number int) (bool, error) {
	_, hasTime := row.Field("time")
	kind, hasKind := row.Field("kind")
	outside := hasTime && !v.bundle.Head.Within(row.Header().Time)
	otherKind := hasKind && !v.bundle.Head.WantsKind(event.Kind(kind))
	if outside || otherKind {
		if len(row.Fields) > 1 || !slices.Contains(row.Hidden, "content") {
			return false, errors.New("it was not asked for, and more of it is opened than shows that")
		}
		return false, nil
	}
	for _, name := range []string{"handle", "kind", "time", "logged", "number", "before"} {
		if slices.Contains(row.Hidden, name) {
			return false, fmt.Errorf("its %s is not opened, and nothing shows that it was not asked for", name)
		}
	}
	if slices.Contains(row.Hidden, "content") {
		return false, errors.New("its content is not opened, and nothing shows that it was not asked for")
	}
	for _, hidden := range row.Hidden {
		if pointer := strings.TrimPrefix(hidden, "content"); v.bundle.Head.WantsValue(pointer) {
			return false, fmt.Errorf("%s was asked for and is not opened", pointer)
		}
	}
	for _, shown := range row.Values {
		if !v.bundle.Head.WantsValue(shown.Pointer) {
			return false, fmt.Errorf("%s was not asked for and is opened", shown.Pointer)
		}
	}
	h := row.Header()
	switch {
	case h.Handle != c.Handle:
		return false, fmt.Errorf("it is an event of %s", h.Handle)
	case h.Number != uint64(number):
		return false, fmt.Errorf("it is number %d of the handle's chain, and stands here as number %d", h.Number, number)
	case number > 0 && h.Before != c.Events[number-1].Leaf:
		return false, fmt.Errorf("the event before it is at leaf %d, and the one shown is at leaf %d", h.Before, c.Events[number-1].Leaf)
	}
	return true, nil
}

// erased verifies that a customer is erased, and that the leaves are those that the event says.
func (v *verifier) erased(c *Customer, filed event.Filed, s *Shown) error {
	if len(c.Events) != 1 {
		return errors.New("of an erased customer the event that says so is shown, and nothing else")
	}
	row, err := v.event(c.Events[0])
	if err != nil {
		return fmt.Errorf("leaf %d: %w", c.Events[0].Leaf, err)
	}
	h := row.Header()
	if kind, _ := row.Field("kind"); kind != string(event.KindErased) || h.Handle != c.Handle || len(row.Hidden) > 0 {
		return fmt.Errorf("leaf %d: it is not opened as the event by which this customer was erased", row.Leaf)
	}
	value := func(pointer string) string {
		for _, f := range row.Values {
			if f.Pointer == pointer {
				return f.Text
			}
		}
		return ""
	}
	before, err := event.ParseFiled(value("/events") + " " + value("/filed"))
	if err != nil {
		return err
	}
	if h.Number != before.Leaves {
		return fmt.Errorf("it is number %d of the chain, and says that %d events were before it", h.Number, before.Leaves)
	}
	if row.FixedBy != nil && before.Add(row.Leaf) != filed || row.FixedBy == nil && (filed.Leaves > before.Leaves || filed.Leaves == before.Leaves && filed != before) {
		return errors.New("the map files other leaves under it than the event by which it was erased says")
	}
	s.Erased = &row
	return nil
}

// Within tells whether a time lies in the days asked for. Days are those of UTC.
func (a Asked) Within(t time.Time) bool {
	day := record.DateOf(t, time.UTC)
	return (a.From == nil || !day.Before(*a.From)) && (a.Until == nil || !day.After(*a.Until))
}

// WantsKind tells whether events of a kind are asked for.
func (a Asked) WantsKind(k event.Kind) bool {
	return len(a.Kinds) == 0 || slices.Contains(a.Kinds, string(k))
}

// WantsValue tells whether a value of a content is asked for, by its pointer: that of a member
// asked for, or of a change of it.
func (a Asked) WantsValue(pointer string) bool {
	if len(a.Fields) == 0 {
		return true
	}
	segments := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	if segments[0] == "unset" {
		return true
	}
	return slices.Contains(a.Fields, segments[0]) || segments[0] == "set" && len(segments) > 1 && slices.Contains(a.Fields, segments[1])
}
