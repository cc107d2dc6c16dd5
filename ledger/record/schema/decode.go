package schema

import (
	"fmt"
	"reflect"
	"strconv"
)

// Fault is one field at fault. Pointer is a JSON Pointer (RFC 6901) from the root
// ("/predicate/target/country"); "" is the whole.
type Fault struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

func (f Fault) String() string {
	if f.Pointer == "" {
		return f.Detail
	}
	return f.Pointer + ": " + f.Detail
}

// A Decoder fills Go values from scanned JSON by their shapes and gathers every
// fault on the way, not the first alone. Its zero value stands at the root.
type Decoder struct {
	Draft  bool // members that are late may be missing
	Faults []Fault

	path []pathStep
	// partial: members may be missing, as in a fragment, but not from the items of a
	// list, which are whole.
	partial   bool
	listsOnly bool // only lists may be touched
}

// A pathStep leads to a member, or to an item where name is "".
type pathStep struct {
	name  string
	index int
}

// pointer is the RFC 6901 pointer of where the decoder stands.
func (d *Decoder) pointer() string {
	var b []byte
	for _, s := range d.path {
		b = append(b, '/')
		if s.name == "" {
			b = strconv.AppendInt(b, int64(s.index), 10)
		} else {
			b = append(b, EscapePointer(s.name)...)
		}
	}
	return string(b)
}

// maxFaults limits the faults that are reported, and so the work that a hostile
// statement causes.
const maxFaults = 100

// Full tells whether there are too many faults to look for more.
func (d *Decoder) Full() bool { return len(d.Faults) >= maxFaults }

// Fault adds one where the decoder stands.
func (d *Decoder) Fault(format string, args ...any) {
	d.Faults = append(d.Faults, Fault{Pointer: d.pointer(), Detail: fmt.Sprintf(format, args...)})
}

// WrongType adds a fault: v is not what is wanted.
func (d *Decoder) WrongType(v any, want string) { d.Fault("is %s; want %s", describeJSON(v), want) }

// Missing adds a fault for each of the names that an object lacks.
func (d *Decoder) Missing(o Object, names ...string) {
	for _, name := range names {
		if !hasMember(o, name) {
			d.Enter(name)
			d.Fault("is missing")
			d.Leave()
		}
	}
}

// Enter leads to the member called name, EnterItem to an item, Leave back.
func (d *Decoder) Enter(name string) { d.step(pathStep{name: name}) }

// EnterItem leads to the item i of a list.
func (d *Decoder) EnterItem(i int) { d.step(pathStep{index: i}) }

func (d *Decoder) step(s pathStep) {
	if d.path == nil {
		d.path = make([]pathStep, 0, 8) // as deep as records go
	}
	d.path = append(d.path, s)
}

// Leave leads back to where the last Enter or EnterItem was.
func (d *Decoder) Leave() { d.path = d.path[:len(d.path)-1] }

// Value fills dst, of sh's Go type, from v.
func (d *Decoder) Value(v any, sh *Shape, dst reflect.Value) {
	if d.listsOnly && sh.Type != TypeList && sh.Type != TypeObject {
		d.Fault("is not a list: only items of lists can be added and dropped; use set or unset")
		return
	}
	if sh.Pointer {
		dst.Set(reflect.New(dst.Type().Elem()))
		dst = dst.Elem()
	}
	switch sh.Type {
	case TypeString:
		if s, ok := d.Text(v, sh); ok {
			dst.SetString(s)
		}
	case TypeInteger:
		n, ok := v.(int64)
		switch {
		case !ok:
			d.WrongType(v, "a whole number")
		case n < sh.minInt || n > sh.maxInt:
			d.Fault("is %d; want %d to %d", n, sh.minInt, sh.maxInt)
		default:
			dst.SetInt(n)
		}
	case TypeBoolean:
		if b, ok := v.(bool); ok {
			dst.SetBool(b)
		} else {
			d.WrongType(v, "true or false")
		}
	case TypeList:
		d.list(v, sh, dst)
	case TypeMap:
		d.mapValue(v, sh, dst)
	case TypeObject:
		if o, ok := v.(Object); ok {
			d.object(o, sh, dst)
		} else {
			d.WrongType(v, "an object")
		}
	case TypeSealable:
		if _, sealed := v.(Object); sealed {
			d.Value(v, sh.Sealed, dst.Field(1))
		} else if s, ok := d.Text(v, sh); ok {
			dst.Field(0).SetString(s)
		}
	case TypeFragment:
		if o, ok := v.(Object); ok {
			d.CheckFragment(o, sh)
			dst.Set(reflect.ValueOf(o))
		} else {
			d.WrongType(v, "an object")
		}
	default:
		if s, ok := d.stringOf(v); ok {
			if err := sh.scalar.set(dst.Addr().Interface(), s); err != nil {
				d.Fault("%v", err)
			}
		}
	}
}

// Text is v as a string of a shape, if it is one; else there is a fault.
func (d *Decoder) Text(v any, sh *Shape) (string, bool) {
	s, ok := d.stringOf(v)
	if !ok {
		return "", false
	}
	if fault := sh.TextFault(s); fault != "" {
		d.Fault("%s", fault)
		return "", false
	}
	return s, true
}

func (d *Decoder) stringOf(v any) (string, bool) {
	s, ok := v.(string)
	if !ok {
		d.WrongType(v, "text in quotes")
	}
	return s, ok
}

// Object fills a Go struct from an object, or those of a joined shape; into points to them.
func (d *Decoder) Object(o Object, sh *Shape, into ...any) {
	parts := make([]reflect.Value, len(into))
	for i, p := range into {
		parts[i] = reflect.ValueOf(p).Elem()
	}
	d.object(o, sh, parts...)
}

func (d *Decoder) object(o Object, sh *Shape, into ...reflect.Value) {
	if len(o) == 0 && (d.partial || sh.minMembers() > 0) {
		d.Fault("is empty: leave it out")
	}
	var seen uint64
	at := -1
	for _, m := range o {
		if d.Full() {
			return
		}
		i, f := sh.lookup(m.Name, at+1)
		d.Enter(m.Name)
		if f == nil {
			d.Fault("is no field here%s", DidYouMean(m.Name, sh.FieldNames()))
		} else {
			at = i
			seen |= 1 << i
			if m.Value == any("") && f.Required && f.isFreeText() {
				d.Fault("is empty, and is required")
			} else {
				d.Value(m.Value, f.Shape, into[f.part].Field(f.index))
			}
		}
		d.Leave()
	}
	if d.partial {
		return
	}
	for i, f := range sh.Fields {
		if f.Required && seen&(1<<i) == 0 && !(d.Draft && f.late) {
			d.Enter(f.Name)
			d.Fault("is missing")
			d.Leave()
		}
	}
}

func (d *Decoder) list(v any, sh *Shape, dst reflect.Value) {
	items, ok := v.([]any)
	switch {
	case !ok:
		d.WrongType(v, "a list")
		return
	case len(items) > sh.maxItems:
		d.Fault("holds %d items; at most %d are allowed", len(items), sh.maxItems)
		return
	case len(items) == 0 && sh.needsItem && !d.partial:
		d.Fault("is empty; at least one item is needed")
		return
	case len(items) == 0:
		return // as if it were absent
	}
	partial, lists := d.partial, d.listsOnly
	d.partial, d.listsOnly = false, false
	list := reflect.MakeSlice(dst.Type(), len(items), len(items))
	faults := len(d.Faults)
	for i, item := range items {
		if d.Full() {
			break
		}
		d.EnterItem(i)
		d.Value(item, sh.Item, list.Index(i))
		d.Leave()
	}
	dst.Set(list)
	if len(d.Faults) == faults && !sh.mayRepeat {
		d.checkUnique(list, sh)
	}
	d.partial, d.listsOnly = partial, lists
}

// checkUnique: a list of a record is a set in an order, so that "drop this item" has one
// meaning, unless its rule says that it repeats.
func (d *Decoder) checkUnique(list reflect.Value, sh *Shape) {
	if list.Len() < 2 {
		return
	}
	first := make(map[string]int, list.Len())
	var b []byte
	for i := range list.Len() {
		b = AppendValue(b[:0], list.Index(i), sh.Item)
		if j, twice := first[string(b)]; twice {
			d.EnterItem(i)
			d.Fault("is the same as item %d", j)
			d.Leave()
			continue
		}
		first[string(b)] = i
	}
}

func (d *Decoder) mapValue(v any, sh *Shape, dst reflect.Value) {
	o, ok := v.(Object)
	switch {
	case !ok:
		d.WrongType(v, "an object")
		return
	case len(o) == 0:
		d.Fault("is empty: leave it out")
		return
	case len(o) > sh.maxItems:
		d.Fault("holds %d members; at most %d are allowed", len(o), sh.maxItems)
		return
	}
	dst.Set(reflect.MakeMapWithSize(dst.Type(), len(o)))
	value := reflect.New(dst.Type().Elem()).Elem()
	for _, m := range o {
		d.Enter(m.Name)
		if fault := sh.names.Fault(m.Name); fault != "" {
			d.Fault("the name %s", fault)
		}
		value.SetZero()
		d.Value(m.Value, sh.Item, value)
		dst.SetMapIndex(reflect.ValueOf(m.Name), value)
		d.Leave()
	}
}

// CheckFragment judges a part of an object, member by member, and throws the decoded
// values away: [Amend] decodes them again where they go.
func (d *Decoder) CheckFragment(o Object, sh *Shape) {
	if len(o) == 0 {
		d.Fault("is empty: leave it out")
		return
	}
	partial, lists := d.partial, d.listsOnly
	d.partial, d.listsOnly = true, sh.listsOnly
	scratch := reflect.New(sh.Fragment.GoType).Elem()
	d.object(o, sh.Fragment, scratch)
	d.partial, d.listsOnly = partial, lists
}
