package record

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Amend applies an amendment to the designation as it stands (RECORDS.md "Amendments")
// and returns the designation that then stands, with the changes in the order in which
// they were made. current is not touched. Items are dropped, then fields unset, then
// set, then items added; each step must have an effect, and the result must be a valid
// designation. A *[Refusal] of class Invalid has every fault. Rules that depend on the
// admission date are checked by the register.
func Amend(current *Designation, a *Amendment) (*Designation, []Change, error) {
	if faults := append(a.fragmentFaults(), a.forbiddenFaults()...); len(faults) > 0 {
		return nil, nil, amendmentRefusal(faults)
	}
	am := &amendmentApplier{result: current.clone()}
	root := reflect.ValueOf(am.result).Elem()
	am.inSection("drop", func() { am.fragment(opDrop, a.Drop, designationShape, root, "") })
	am.inSection("unset", func() { am.unset(a.Unset, root) })
	am.inSection("set", func() { am.fragment(opSet, a.Set, designationShape, root, "") })
	am.inSection("add", func() { am.fragment(opAdd, a.Add, designationShape, root, "") })
	if len(am.Faults) == 0 {
		am.deadlines(current, a)
	}
	if len(am.Faults) == 0 {
		am.validateResult()
	}
	// A day to respond by re-opens the duty, which is an effect, even if it is the old one.
	if len(am.Faults) == 0 && a.ResponseDue == nil && reflect.DeepEqual(current, am.result) {
		what := "undoes itself"
		if len(am.changes) == 0 {
			what = "changes nothing, and there is no duty to respond that it could re-open"
		}
		am.Faults = []Fault{{Pointer: "/predicate", Detail: what + ": the designation stays as it is"}}
	}
	if len(am.Faults) > 0 {
		return nil, nil, amendmentRefusal(am.Faults)
	}
	return am.result, am.changes, nil
}

func amendmentRefusal(faults []Fault) *Refusal {
	return &Refusal{Class: Invalid, Detail: "amendment does not fit its designation", Faults: faults}
}

var designationShape = types.Shape(reflect.TypeFor[Designation]())

// clone is a copy that shares nothing that can be changed.
func (d *Designation) clone() *Designation {
	c, _ := d.reread()
	return c
}

// reread writes the designation and reads it again; the faults are those of its schema,
// in the predicate.
func (d *Designation) reread() (*Designation, []Fault) {
	v, err := schema.ParseJSON(schema.AppendObject(nil, designationShape, d))
	if err != nil {
		panic("record: encoding a designation: " + err.Error())
	}
	var dec schema.Decoder
	dec.Enter("predicate")
	c := new(Designation)
	dec.Object(v.(schema.Object), designationShape, c)
	return c, dec.Faults
}

// amendmentApplier holds the designation while it is amended. Its decoder converts the
// fragments and tracks the pointer for faults.
type amendmentApplier struct {
	schema.Decoder
	result  *Designation
	changes []Change
}

func (am *amendmentApplier) inSection(name string, do func()) {
	am.Enter("predicate")
	am.Enter(name)
	do()
	am.Leave()
	am.Leave()
}

// fragment applies one of drop, set and add, member by member; an object that is
// not there yet is set whole. The fragment is known to fit the schema.
func (am *amendmentApplier) fragment(op string, o schema.Object, sh *schema.Shape, dst reflect.Value, path string) {
	for _, m := range o {
		f := sh.Field(m.Name)
		at := joinPath(path, f.Name)
		value := f.Of(dst)
		am.Enter(f.Name)
		nothing := f.Pointer && value.IsNil()
		switch {
		case f.Type == schema.TypeObject && nothing && op != opSet:
			am.Fault("is not set, so it has no items")
		case f.Type == schema.TypeObject && !nothing:
			inner := value
			if f.Pointer {
				inner = value.Elem()
			}
			am.fragment(op, m.Value.(schema.Object), f.Shape, inner, at)
		case op == opDrop:
			am.drop(m.Value.([]any), f, value, at)
		case op == opAdd:
			am.add(m.Value.([]any), f, value, at)
		default:
			am.set(m.Value, f, value, at)
		}
		am.Leave()
	}
}

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// decodeAs is a value of a fragment as its field's Go type.
func (am *amendmentApplier) decodeAs(v any, sh *schema.Shape) reflect.Value {
	dst := sh.New()
	am.Value(v, sh, dst)
	return dst
}

func (am *amendmentApplier) drop(items []any, f *schema.Field, list reflect.Value, path string) {
	for i, item := range items {
		am.EnterItem(i)
		v := am.decodeAs(item, f.Item)
		if at := indexOf(list, v); at < 0 {
			am.Fault("is not there: %s has no item %s", path, formatValue(v, f.Item))
		} else {
			list.Set(removeItem(list, at))
			am.changes = append(am.changes, Change{Op: opDrop, Path: path, Old: formatValue(v, f.Item)})
		}
		am.Leave()
	}
}

func (am *amendmentApplier) add(items []any, f *schema.Field, list reflect.Value, path string) {
	for i, item := range items {
		am.EnterItem(i)
		v := am.decodeAs(item, f.Item)
		if indexOf(list, v) >= 0 {
			am.Fault("is there already: %s has item %s", path, formatValue(v, f.Item))
		} else {
			list.Set(reflect.Append(list, v))
			am.changes = append(am.changes, Change{Op: opAdd, Path: path, New: formatValue(v, f.Item)})
		}
		am.Leave()
	}
}

func indexOf(list, v reflect.Value) int {
	for i := range list.Len() {
		if reflect.DeepEqual(list.Index(i).Interface(), v.Interface()) {
			return i
		}
	}
	return -1
}

// removeItem returns a copy of the list without one item; nil if none is left, as if
// the field were absent.
func removeItem(list reflect.Value, at int) reflect.Value {
	if list.Len() == 1 {
		return reflect.Zero(list.Type())
	}
	rest := reflect.MakeSlice(list.Type(), 0, list.Len()-1)
	rest = reflect.AppendSlice(rest, list.Slice(0, at))
	return reflect.AppendSlice(rest, list.Slice(at+1, list.Len()))
}

func (am *amendmentApplier) set(v any, f *schema.Field, value reflect.Value, path string) {
	next := am.decodeAs(v, f.Shape)
	if reflect.DeepEqual(next.Interface(), value.Interface()) {
		am.Fault("changes nothing: %s is %s already", path, formatValue(value, f.Shape))
		return
	}
	am.changes = append(am.changes, Change{Op: opSet, Path: path, Old: formatValue(value, f.Shape), New: formatValue(next, f.Shape)})
	value.Set(next)
}

func (am *amendmentApplier) unset(paths []string, root reflect.Value) {
	for i, path := range paths {
		am.EnterItem(i)
		am.unsetOne(path, root)
		am.Leave()
	}
}

func (am *amendmentApplier) unsetOne(path string, at reflect.Value) {
	f, err := resolveFieldPath(path)
	if err != nil {
		am.Fault("%v", err)
		return
	}
	for i, step := range f {
		value := step.Of(at)
		switch {
		case step.IsAbsent(value):
			am.Fault("%s is not set", path)
			return
		case i < len(f)-1 && step.Pointer:
			at = value.Elem()
		case i < len(f)-1:
			at = value
		default:
			am.changes = append(am.changes, Change{Op: opUnset, Path: path, Old: formatValue(value, step.Shape)})
			value.SetZero()
		}
	}
}

// resolveFieldPath walks a dotted path to an optional field.
func resolveFieldPath(path string) ([]*schema.Field, error) {
	var walked []*schema.Field
	sh := designationShape
	for name := range strings.SplitSeq(path, ".") {
		if sh == nil || sh.Type != schema.TypeObject {
			return nil, fmt.Errorf("%s leads into what has no members; unset removes whole fields", schema.Quote(path))
		}
		f := sh.Field(name)
		if f == nil {
			return nil, fmt.Errorf("%s is no field of a designation%s", schema.Quote(path), schema.DidYouMean(name, sh.FieldNames()))
		}
		walked = append(walked, f)
		sh = f.Shape
	}
	if walked[len(walked)-1].Required {
		return nil, fmt.Errorf("%s is required: it can be set to something else, not unset", path)
	}
	return walked, nil
}

// deadlines are the rules of responseDue and effectiveUntil between old and new.
func (am *amendmentApplier) deadlines(current *Designation, a *Amendment) {
	next := am.result
	fault := func(pointer, format string, args ...any) {
		am.Faults = append(am.Faults, Fault{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
	}
	switch {
	case a.ResponseDue != nil && slices.ContainsFunc(am.changes, func(c Change) bool { return c.Path == "responseDue" }):
		fault("/predicate/responseDue", "stands here and in set or unset: once is enough")
	case a.ResponseDue == nil && (a.Reopens || a.ReopensDuty() && current.ResponseDue != nil):
		fault("/predicate/responseDue", "is missing: the duty to respond re-opens and needs a new last day")
	case a.ResponseDue != nil && (next.ResponseDue == nil || *next.ResponseDue != *a.ResponseDue):
		c := Change{Op: opSet, Path: "responseDue", New: a.ResponseDue.String()}
		if next.ResponseDue != nil {
			c.Old = next.ResponseDue.String()
		}
		due := *a.ResponseDue
		next.ResponseDue = &due
		am.changes = append(am.changes, c)
	}
	later := func(path string, old, new *Date) {
		switch {
		case old == nil:
			fault("/predicate/type", "the designation has no %s that could move", path)
		case new == nil || !new.After(*old):
			fault("/predicate/type", "type %s moves %s (%s) to a later day only", a.Type, path, old)
		}
	}
	switch a.Type {
	case "deadline":
		later("responseDue", current.ResponseDue, next.ResponseDue)
	case "extension":
		later("effectiveUntil", current.EffectiveUntil, next.EffectiveUntil)
	}
}

// validateResult checks the amended designation as if it were a new one.
func (am *amendmentApplier) validateResult() {
	_, faults := am.result.reread()
	f := faultList{faults}
	am.result.checkFields(&f)
	for _, fault := range f.list {
		path := strings.ReplaceAll(strings.TrimPrefix(fault.Pointer, "/predicate/"), "/", ".")
		am.Faults = append(am.Faults, Fault{Pointer: "/predicate", Detail: "leaves no valid designation: " + path + " " + fault.Detail})
	}
}

// amendablePaths says what an amendment of each type may touch (RECORDS.md
// "Amendments"), path by path.
var amendablePaths = map[string]func(path string) bool{
	"correction":    func(string) bool { return true },
	"alias":         func(path string) bool { return path == "target.alias" },
	"target-detail": func(path string) bool { return strings.HasPrefix(path, "target.") && path != "target.alias" },
	"scope":         func(path string) bool { return isWithin(path, "scope") || path == "conditions" },
	"extension":     func(path string) bool { return path == "effectiveUntil" },
	"deadline":      func(path string) bool { return path == "responseDue" },
}

// isIdentityField reports whether path identifies the designation. No amendment may
// change such a field.
func isIdentityField(path string) bool {
	return path == "measure" || path == "source" || path == "source.list" || path == "source.id"
}

func isWithin(path, field string) bool {
	return path == field || strings.HasPrefix(path, field+".")
}

// forbiddenFaults returns a fault for each field that an amendment of this type must
// not change.
func (a *Amendment) forbiddenFaults() (out []Fault) {
	allowed, known := amendablePaths[a.Type]
	if !known {
		return []Fault{{Pointer: "/predicate/type", Detail: "is no type of amendment"}}
	}
	judge := func(pointer, path string) {
		switch {
		case isIdentityField(path):
			out = append(out, Fault{Pointer: pointer, Detail: path + " can never be amended: revoke and designate anew"})
		case !allowed(path):
			out = append(out, Fault{Pointer: pointer, Detail: fmt.Sprintf("an amendment of type %s cannot touch %s", a.Type, path)})
		}
	}
	visitLeaves(a.Drop, designationShape, "/predicate/drop", "", judge)
	for i, path := range a.Unset {
		judge(fmt.Sprintf("/predicate/unset/%d", i), path)
	}
	visitLeaves(a.Set, designationShape, "/predicate/set", "", judge)
	visitLeaves(a.Add, designationShape, "/predicate/add", "", judge)
	return out
}

// visitLeaves visits each scalar and list that a fragment names.
func visitLeaves(o schema.Object, sh *schema.Shape, pointer, path string, visit func(pointer, path string)) {
	for _, m := range o {
		f := sh.Field(m.Name)
		if f == nil {
			continue // a fault of its own
		}
		inner, ok := m.Value.(schema.Object)
		if f.Type == schema.TypeObject && ok {
			visitLeaves(inner, f.Shape, pointer+"/"+f.Name, joinPath(path, f.Name), visit)
			continue
		}
		visit(pointer+"/"+f.Name, joinPath(path, f.Name))
	}
}

// fragmentFaults types the fragments by the designation's schema, and the paths.
func (a *Amendment) fragmentFaults() []Fault {
	var d schema.Decoder
	d.Enter("predicate")
	for _, part := range []struct {
		name string
		o    schema.Object
	}{{"drop", a.Drop}, {"set", a.Set}, {"add", a.Add}} {
		if len(part.o) > 0 {
			d.Enter(part.name)
			d.CheckFragment(part.o, amendmentSpec.Own.Field(part.name).Shape)
			d.Leave()
		}
	}
	d.Enter("unset")
	for i, path := range a.Unset {
		d.EnterItem(i)
		if _, err := resolveFieldPath(path); err != nil {
			d.Fault("%v", err)
		}
		d.Leave()
	}
	return d.Faults
}

// The steps of an amendment, in their order.
const (
	opDrop  = "drop"
	opUnset = "unset"
	opSet   = "set"
	opAdd   = "add"
)

// Change is one effect of an amendment, for people. Old and New are "" where there
// was, or is, nothing.
type Change struct {
	Op   string `json:"op"`   // drop, unset, set or add
	Path string `json:"path"` // dotted, from the designation: "target.domain"
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// String is one line: "target.registrationNumber: 0048213 → 0048231",
// "target.domain: + kestrel.example", "federalRegisterNotice: − 00 FR 00000".
func (c Change) String() string {
	switch {
	case c.New == "":
		return fmt.Sprintf("%s: − %s", c.Path, c.Old)
	case c.Old == "":
		return fmt.Sprintf("%s: + %s", c.Path, c.New)
	}
	return fmt.Sprintf("%s: %s → %s", c.Path, c.Old, c.New)
}

// formatValue writes a value in one line, as YAML would in flow style.
func formatValue(v reflect.Value, sh *schema.Shape) string {
	plain := !sh.Pointer && (sh.Type == schema.TypeBoolean || sh.Type == schema.TypeInteger) // zero says something
	if sh.IsAbsent(v) && !plain {
		return ""
	}
	if sh.Pointer {
		v = v.Elem()
	}
	switch sh.Type {
	case schema.TypeString:
		if s := v.String(); !strings.ContainsAny(s, "\n\"") {
			return s
		}
		return strconv.Quote(v.String())
	case schema.TypeList:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = formatValue(v.Index(i), sh.Item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case schema.TypeObject:
		var members []string
		for _, f := range sh.Fields {
			if value := f.Of(v); f.Required || !f.IsAbsent(value) {
				members = append(members, f.Name+": "+formatValue(value, f.Shape))
			}
		}
		return "{" + strings.Join(members, ", ") + "}"
	case schema.TypeInteger:
		return strconv.FormatInt(v.Int(), 10)
	case schema.TypeBoolean:
		return strconv.FormatBool(v.Bool())
	}
	return sh.Text(v)
}

// Diff is the least amendment that turns one designation into another:
// Amend(old, Diff(old, new)) is new. Its type is the narrowest of alias,
// target-detail and correction; reason, source and whether it re-opens the duty are
// the caller's to fill in. Equal designations give nil. What can never be amended
// (measure, the source's list and ID, being imported at all) is an error.
func Diff(old, new *Designation) (*Amendment, error) {
	a := &Amendment{}
	a.Drop, a.Set, a.Add = a.collectDiff(reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem(), designationShape, "")
	if len(a.Drop)+len(a.Unset)+len(a.Set)+len(a.Add) == 0 {
		return nil, nil
	}
	for _, a.Type = range []string{"alias", "target-detail", "correction"} {
		if len(a.forbiddenFaults()) == 0 {
			return a, nil
		}
	}
	faults := a.forbiddenFaults()
	return nil, fmt.Errorf("comparing designations: %s", faults[0].Detail)
}

// collectDiff gathers what differs between two objects; what is to be unset goes to a.
func (a *Amendment) collectDiff(old, new reflect.Value, sh *schema.Shape, path string) (drop, set, add schema.Object) {
	for _, f := range sh.Fields {
		was, is := f.Of(old), f.Of(new)
		at := joinPath(path, f.Name)
		switch {
		case reflect.DeepEqual(was.Interface(), is.Interface()):
		case !f.Required && f.IsAbsent(is):
			if !f.IsAbsent(was) { // else nil against empty: equal
				a.Unset = append(a.Unset, at)
			}
		case f.Type == schema.TypeObject && !f.IsAbsent(was):
			if f.Pointer {
				was, is = was.Elem(), is.Elem()
			}
			d, s, p := a.collectDiff(was, is, f.Shape, at)
			drop, set, add = appendMember(drop, f.Name, d), appendMember(set, f.Name, s), appendMember(add, f.Name, p)
		case f.Type == schema.TypeList:
			gone, came, ordered := compareLists(was, is, f.Shape)
			if !ordered {
				set = append(set, schema.Member{Name: f.Name, Value: fragmentValue(is, f.Shape)})
				continue
			}
			if len(gone) > 0 {
				drop = append(drop, schema.Member{Name: f.Name, Value: gone})
			}
			if len(came) > 0 {
				add = append(add, schema.Member{Name: f.Name, Value: came})
			}
		default:
			set = append(set, schema.Member{Name: f.Name, Value: fragmentValue(is, f.Shape)})
		}
	}
	return drop, set, add
}

func appendMember(o schema.Object, name string, inner schema.Object) schema.Object {
	if len(inner) == 0 {
		return o
	}
	return append(o, schema.Member{Name: name, Value: inner})
}

// compareLists says which items are gone and which came. ordered is false where
// dropping and appending would not give the new order, or nothing stays: then the
// list is replaced whole.
func compareLists(old, new reflect.Value, sh *schema.Shape) (gone, came []any, ordered bool) {
	kept := 0
	for i := range old.Len() {
		item := old.Index(i)
		switch {
		case indexOf(new, item) < 0:
			gone = append(gone, fragmentValue(item, sh.Item))
		case !reflect.DeepEqual(item.Interface(), new.Index(kept).Interface()):
			return nil, nil, false
		default:
			kept++
		}
	}
	for i := kept; i < new.Len(); i++ {
		came = append(came, fragmentValue(new.Index(i), sh.Item))
	}
	return gone, came, kept > 0 || old.Len() == 0
}

// fragmentValue is a Go value as a fragment holds it.
func fragmentValue(v reflect.Value, sh *schema.Shape) any {
	t, err := schema.ParseJSON(schema.AppendValue(nil, v, sh))
	if err != nil {
		panic("record: encoding a value: " + err.Error())
	}
	return t
}
