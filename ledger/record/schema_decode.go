package record

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A decoder fills Go values from scanned JSON by their shapes and gathers every
// fault on the way, not the first alone.
type decoder struct {
	faults []Fault
	path   []pathStep
	// partial: members may be missing, as in an amendment's fragment, but not from
	// the items of a list, which are whole.
	partial   bool
	listsOnly bool // only lists may be touched
	draft     bool // ledger and issuedAt may be missing: they are filled in later
}

// A step leads to a member, or to an item where name is "".
type pathStep struct {
	name  string
	index int
}

// pointer is the RFC 6901 pointer of where the decoder stands.
func (d *decoder) pointer() string {
	var b []byte
	for _, s := range d.path {
		b = append(b, '/')
		if s.name == "" {
			b = strconv.AppendInt(b, int64(s.index), 10)
		} else {
			b = append(b, escapePointer(s.name)...)
		}
	}
	return string(b)
}

// escapePointer is RFC 6901 section 3.
func escapePointer(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// maxFaults bounds the work that a hostile statement can cause: beyond it, nobody
// reads on.
const maxFaults = 100

func (d *decoder) tooManyFaults() bool { return len(d.faults) >= maxFaults }

func (d *decoder) fault(format string, args ...any) {
	d.faults = append(d.faults, Fault{Pointer: d.pointer(), Detail: fmt.Sprintf(format, args...)})
}

func (d *decoder) enter(name string)              { d.path = append(d.path, pathStep{name: name}) }
func (d *decoder) enterItem(i int)                { d.path = append(d.path, pathStep{index: i}) }
func (d *decoder) leave()                         { d.path = d.path[:len(d.path)-1] }
func (d *decoder) faultWrongType(v any, w string) { d.fault("is %s; want %s", describeJSON(v), w) }

func describeJSON(v any) string {
	switch v := v.(type) {
	case string:
		return "text"
	case int64:
		return "the number " + strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "a list"
	case Object:
		return "an object"
	}
	return "nothing"
}

// value fills dst, of sh's Go type, from v.
func (d *decoder) value(v any, sh *shape, dst reflect.Value) {
	if d.listsOnly && sh.is != isList && sh.is != isObject {
		d.fault("is not a list: only items of lists can be added and dropped; use set or unset")
		return
	}
	if sh.pointer {
		dst.Set(reflect.New(dst.Type().Elem()))
		dst = dst.Elem()
	}
	switch sh.is {
	case isString:
		if s, ok := d.stringOf(v); ok && d.checkString(s, sh) {
			dst.SetString(s)
		}
	case isInteger:
		n, ok := v.(int64)
		switch {
		case !ok:
			d.faultWrongType(v, "a whole number")
		case n < sh.minInt || n > sh.maxInt:
			d.fault("is %d; want %d to %d", n, sh.minInt, sh.maxInt)
		default:
			dst.SetInt(n)
		}
	case isBoolean:
		if b, ok := v.(bool); ok {
			dst.SetBool(b)
		} else {
			d.faultWrongType(v, "true or false")
		}
	case isList:
		d.list(v, sh, dst)
	case isMap:
		d.mapValue(v, sh, dst)
	case isObject:
		if o, ok := v.(Object); ok {
			d.object(o, sh, dst, dst)
		} else {
			d.faultWrongType(v, "an object")
		}
	case isFragment:
		if o, ok := v.(Object); ok {
			d.fragment(o, sh)
			dst.Set(reflect.ValueOf(o))
		} else {
			d.faultWrongType(v, "an object")
		}
	default:
		if s, ok := d.stringOf(v); ok {
			if err := setScalar(dst.Addr().Interface(), s); err != nil {
				d.fault("%v", err)
			}
		}
	}
}

func (d *decoder) stringOf(v any) (string, bool) {
	s, ok := v.(string)
	if !ok {
		d.faultWrongType(v, "text in quotes")
	}
	return s, ok
}

func (d *decoder) checkString(s string, sh *shape) bool {
	switch {
	case sh.enum != nil:
		if slices.Contains(sh.enum, s) {
			return true
		}
		d.fault("is %s; want one of %s%s", quote(s), strings.Join(sh.enum, ", "), didYouMean(s, sh.enum))
	case len(s) > sh.maxChars && utf8.RuneCountInString(s) > sh.maxChars:
		d.fault("is %d characters long; at most %d are allowed", utf8.RuneCountInString(s), sh.maxChars)
	default:
		fault := sh.format.Fault(s)
		if fault == "" {
			return true
		}
		d.fault("%s", fault)
	}
	return false
}

// isFreeText tells whether any text will do.
func (sh *shape) isFreeText() bool {
	return sh.is == isString && sh.enum == nil && (sh.format == FormatText || sh.format == FormatLines)
}

// setScalar reads what has a text form of its own. A record ID of zeros would
// look absent once decoded, so it is no ID.
func setScalar(dst any, s string) (err error) {
	switch dst := dst.(type) {
	case *Date:
		*dst, err = ParseDate(s)
	case *Instant:
		*dst, err = ParseInstant(s)
	case *time.Time:
		var i Instant
		i, err = ParseInstant(s)
		*dst = i.Time
	case *Period:
		*dst, err = ParsePeriod(s)
	case *ID:
		*dst, err = ParseID(s)
		if err == nil && dst.IsZero() {
			err = fmt.Errorf("is all zeros, which names no record: leave the member out")
		}
	default:
		panic(fmt.Sprintf("record: no text form for %T", dst))
	}
	return err
}

// object fills dst, and common with the members of every record.
func (d *decoder) object(o Object, sh *shape, dst, common reflect.Value) {
	if len(o) == 0 && (d.partial || sh.minMembers() > 0) {
		d.fault("is empty: leave it out")
	}
	var seen uint64
	at := -1
	for _, m := range o {
		if d.tooManyFaults() {
			return
		}
		i, f := sh.lookupField(m.Name, at+1)
		d.enter(m.Name)
		if f == nil {
			d.fault("is no field here%s", didYouMean(m.Name, sh.fieldNames()))
		} else {
			at = i
			seen |= 1 << i
			into := dst
			if f.common {
				into = common
			}
			if m.Value == any("") && f.required && f.isFreeText() {
				d.fault("is empty, and is required")
			} else {
				d.value(m.Value, f.shape, into.Field(f.index))
			}
		}
		d.leave()
	}
	if d.partial {
		return
	}
	for i, f := range sh.fields {
		later := d.draft && f.common && (f.is == isID || f.is == isInstant)
		if f.required && seen&(1<<i) == 0 && !later {
			d.enter(f.name)
			d.fault("is missing")
			d.leave()
		}
	}
}
