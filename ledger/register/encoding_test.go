package register

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// fill sets every exported field of v, and all that is below it, to a value of its own.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.UnixMilli(1<<40 + int64(*n)).UTC()))
		return
	case record.Date:
		v.Set(reflect.ValueOf(record.Date{Year: 2026, Month: 1, Day: 1}.AddDays(*n)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				fill(v.Field(i), n)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(uint64(*n % 256))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	default:
		panic(v.Type().String())
	}
}

// rowValues are one of each type of value, with every field set.
func rowValues() []any {
	all := []any{new(recordValue), new(versionValue), new(KeyRow), new(LicenceStep)}
	written := map[reflect.Type]bool{}
	for _, name := range record.Kinds() {
		if k := kinds[name]; k.newState != nil {
			if state := k.newState(""); !written[reflect.TypeOf(state)] {
				written[reflect.TypeOf(state)] = true
				all = append(all, state)
			}
		}
	}
	for _, v := range all {
		n := 0
		fill(reflect.ValueOf(v).Elem(), &n)
	}
	return all
}

// TestRowsLoseNothing: no field of a row, nor of what it has of a record, is left out of
// its encoding, or takes another's number; and none that is empty comes back as anything else.
func TestRowsLoseNothing(t *testing.T) {
	for _, full := range rowValues() {
		for _, v := range []any{full, reflect.New(reflect.TypeOf(full).Elem()).Interface()} {
			b, err := encodeRow(v)
			if err != nil {
				t.Fatal(err)
			}
			again := reflect.New(reflect.TypeOf(v).Elem()).Interface()
			if err := decodeRow(b, again); v == full && err != nil || err == nil && !reflect.DeepEqual(v, again) {
				t.Errorf("%+v\nbecame %+v, %v", v, again, err)
			}
		}
	}
	zero := uint64(0)
	b, err := encodeRow(&versionValue{Delta: Delta{Prior: &zero, About: &zero}})
	var v versionValue
	if err := errors.Join(err, decodeRow(b, &v)); err != nil || v.Delta.Prior == nil || v.Delta.About == nil || v.Delta.EffectiveOn != nil {
		t.Errorf("an index of 0 became %+v, %v", v, err)
	}
}

// rowFields writes down a type as its rows have it: each field's number or name, its type,
// and what is below it.
func rowFields(b *strings.Builder, typ reflect.Type, indent string, above []reflect.Type) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || slices.Contains(above, typ) || !strings.HasPrefix(typ.PkgPath(), "github.com/seed-53cf897a/docket") {
		return
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		if !f.IsExported() && f.Name != "_" {
			continue
		}
		name := f.Tag.Get("cbor")
		if name == "" {
			name = cmp.Or(f.Tag.Get("json"), f.Name)
		}
		fmt.Fprintf(b, "%s%s %v\n", indent, name, f.Type)
		rowFields(b, f.Type, indent+"  ", append(above, typ))
	}
}

// TestRowsAreOfThisFormat: rows that another binary would read otherwise, or not at all, are
// of another format, and say so by its number.
func TestRowsAreOfThisFormat(t *testing.T) {
	const golden = "testdata/rows.golden"
	var b strings.Builder
	fmt.Fprintf(&b, "FormatVersion %d\n", FormatVersion)
	for _, v := range rowValues() {
		typ := reflect.TypeOf(v).Elem()
		fmt.Fprintf(&b, "\n%v\n", typ)
		rowFields(&b, typ, "  ", nil)
	}
	now := b.String()
	before, err := os.ReadFile(golden)
	if err != nil && !refusaltest.Update() {
		t.Fatal(err)
	}
	was, is, _ := strings.Cut(string(before), "\n")
	if first, rest, _ := strings.Cut(now, "\n"); first == was && rest != is && len(before) > 0 {
		t.Fatalf("the rows are no longer those of %s, as %s has them: raise FormatVersion, then go test -update\n%s", was, golden, now)
	}
	if refusaltest.Update() {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(golden, []byte(now), 0o644)); err != nil {
			t.Fatal(err)
		}
	} else if now != string(before) {
		t.Errorf("%s is not of %s: go test -update", golden, strings.SplitN(now, "\n", 2)[0])
	}
}

// TestDamagedRows: what this code did not write is damage, whatever else a decoder could
// make of it.
func TestDamagedRows(t *testing.T) {
	good, err := encodeRow(&Answers{Life: 1, Asked: 2})
	if err != nil || decodeRow(good, new(Answers)) != nil || good[0] != 0xa3 {
		t.Fatalf("%x, %v", good, err)
	}
	shortID, err := encodeRow(struct {
		ID []byte `cbor:"2,keyasint"`
	}{make([]byte, 31)})
	if err != nil {
		t.Fatal(err)
	}
	name, err := encodeRow(&record.ImportList{List: "a"})
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		b    []byte
		into any
	}{
		"nothing":                   {nil, new(Answers)},
		"an unknown field":          {append([]byte{0xa4}, append(good[1:len(good):len(good)], 0x18, 99, 0)...), new(Answers)},
		"a field twice":             {append([]byte{0xa4}, append(good[1:len(good):len(good)], 1, 5)...), new(Answers)},
		"a byte after it":           {append(good[:len(good):len(good)], 0), new(Answers)},
		"cut short":                 {good[:len(good)-1], new(Answers)},
		"an indefinite length":      {append([]byte{0xbf}, append(good[1:len(good):len(good)], 0xff)...), new(Answers)},
		"a tag":                     {append([]byte{0xc1}, good...), new(Answers)},
		"another type":              {[]byte{0x83, 1, 2, 3}, new(Answers)},
		"an element too many":       {[]byte{0x84, 1, 2, 3, 4}, new(versionValue)},
		"a record ID cut short":     {shortID, new(RecordRef)},
		"a name in other letters":   {bytes.Replace(name, []byte("list"), []byte("List"), 1), new(record.ImportList)},
		"a row of JSON":             {[]byte(`{"Life":1,"Asked":2,"First":0}`), new(Answers)},
		"more than any row may be":  {append([]byte{0x7a, 0, 0x10, 0, 0}, strings.Repeat("a", maxRowBytes)...), new(string)},
		"text that is not UTF-8":    {[]byte{0x61, 0xff}, new(string)},
		"a day that does not exist": {[]byte{0x44, 0, 0x0f, 0xd4, 0x5f}, new(record.Date)},
	} {
		if err := decodeRow(c.b, c.into); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// FuzzRows: rows come apart as they were put together, and nothing else panics.
func FuzzRows(f *testing.F) {
	for _, v := range rowValues() {
		b, err := encodeRow(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		stable := func(v, again any) {
			if decodeRow(b, v) != nil {
				return
			}
			once, err := encodeRow(v)
			if err != nil {
				t.Fatalf("%x was read as %+v, which cannot be written: %v", b, v, err)
			}
			if err := decodeRow(once, again); err != nil || !reflect.DeepEqual(v, again) {
				t.Errorf("%+v became %+v, %v", v, again, err)
			}
		}
		stable(new(recordValue), new(recordValue))
		stable(new(versionValue), new(versionValue))
		stable(new(KeyRow), new(KeyRow))
		stable(new(LicenceStep), new(LicenceStep))
		decodeRecordRow(7, b)
		decodeKeyRow(b)
		if row, err := decodeThreadRow("party/a", 7, b); err == nil {
			row.decodeState(nil)
		}
		for name, k := range kinds {
			if k.newState != nil {
				stable(k.newState(""), k.newState(""))
			}
			(&ThreadRow{Kind: name}).decodeState(b)
		}
	})
}

// TestKindRows: each kind of record that this binary reads has its row here, whole, and all
// kinds of a thread make the same state.
func TestKindRows(t *testing.T) {
	if len(kinds) != len(record.Kinds()) {
		t.Errorf("%d rows, %d kinds", len(kinds), len(record.Kinds()))
	}
	states := make(map[string]reflect.Type)
	for _, name := range record.Kinds() {
		k := kinds[name]
		if k == nil {
			t.Errorf("%s has no row", name)
			continue
		}
		if k.judge == nil || k.candidates == nil {
			t.Errorf("%s: nothing judges it, or no keys may have signed it", name)
		}
		if (k.newState == nil) == (k.stateFromDelta == nil) {
			t.Errorf("%s: one of newState and stateFromDelta is wanted", name)
			continue
		}
		spec, err := record.SpecOf(name)
		if err != nil {
			t.Fatal(err)
		}
		var state State
		if k.newState != nil {
			state = k.newState(spec.ExampleThread())
		} else {
			var all Delta
			n := 0
			fill(reflect.ValueOf(&all).Elem(), &n)
			if state = k.stateFromDelta(&all); state == nil || k.stateFromDelta(new(Delta)) != nil {
				t.Errorf("%s: a state of what all records say, and none of what none says, are wanted", name)
				continue
			}
		}
		if was := states[spec.Thread]; was != nil && was != reflect.TypeOf(state) {
			t.Errorf("%s: threads %s have a state %v and a state %T", name, spec.Thread, was, state)
		}
		states[spec.Thread] = reflect.TypeOf(state)
	}
}
