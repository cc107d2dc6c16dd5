package listexport_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listexport"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

var source = listexport.Source{
	Source: view.Source{Ledger: record.ID{0x3f, 0xa9}, Name: "Office of Cloud Restrictions (fictional)", Origin: "docket.example/2026", Size: 27, Root: "r00t=", URL: "https://docket.example"},
	Day:    record.Date{Year: 2027, Month: 1, Day: 2},
}

// filler gives each field of a value a text or number of its own, which no format may
// lose: some begin like a formula, some hold what separates the items of a list.
type filler struct {
	t *testing.T
	n int
}

// without are fields that no answer shows: where a record lies is told by its ID.
var without = []string{"-"}

func (f *filler) fill(v reflect.Value, path string) {
	f.n++
	hard := []string{"=1+1", "a; b", `c\d`, `\; e`, "'=f", "''g", "h\nline", `"i", j`, "-", "<&>", "Café"}
	switch v.Interface().(type) {
	case record.ID:
		v.Set(reflect.ValueOf(record.ID{byte(f.n), 1}))
		return
	case record.Date:
		v.Set(reflect.ValueOf(record.Date{Year: 2000 + f.n%1000, Month: 3, Day: 4}))
		return
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(int64(f.n), 123e6).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint(hard[f.n%len(hard)], f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(int64(-f.n))
	case reflect.Uint64:
		v.SetUint(uint64(f.n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), path)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range 3 {
			f.fill(v.Index(i), path)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ","); !slices.Contains(without, name) {
				f.fill(v.Field(i), path+"."+v.Type().Field(i).Name)
			}
		}
	default:
		f.t.Fatalf("%s: a %s is new: say here how it is filled", path, v.Kind())
	}
}

// repeat makes what a designation's summary says what its records say.
func repeat(d *view.WholeDesignation) {
	c, t := &d.Current, &d.Current.Target
	d.Name, d.Alias, d.Schema, d.Country, d.LEI, d.RegistrationNumber = t.Name, t.Alias, t.Schema, t.Country, t.LEI, t.RegistrationNumber
	d.ASN, d.Domain, d.Address, d.Measure, d.Action, d.Program = t.ASN, t.Domain, t.Address, c.Measure, c.Action, c.Program
	d.EffectiveUntil, d.ResponseDue = c.EffectiveUntil, c.ResponseDue
	d.Source = nil
	if c.Source != nil {
		d.Source = &view.SourceName{List: c.Source.List, ID: c.Source.ID}
	}
}

// samples are designations with everything, with nothing, and a few in between.
func samples(t *testing.T) []view.WholeDesignation {
	var full, bare view.WholeDesignation
	f := &filler{t: t}
	f.fill(reflect.ValueOf(&full).Elem(), "designation")
	full.Thread, full.Status = "designation/2026-014", view.StatusInForce
	repeat(&full)
	bare.Thread, bare.Current.Scope = "designation/2026-015", &record.Scope{}
	bare.Records, bare.EffectiveFrom = []record.ID{}, record.Date{Year: 2027, Month: 1, Day: 2}
	repeat(&bare)
	imported := view.WholeDesignation{Designation: view.Designation{
		Thread: "designation/csl-el-a1", Status: view.StatusRevoked, EffectiveFrom: record.Date{Year: 2027, Month: 1, Day: 2}, Records: []record.ID{{1}},
	}, Current: record.Designation{
		Measure: "person", Action: "prohibit", Program: []string{"EL"}, Source: &record.Source{List: "csl-el", ID: "a1"},
		Target: record.Target{Schema: "LegalEntity", Name: "Merlin Research", Country: "FR", Address: []record.Address{{Full: "1 Merlin Road", Country: "FR"}},
			Alias: []record.Alias{{Name: "MRI", Type: "aka"}, {Name: "MR", Type: "aka", Weak: true}, {Name: "Old Merlin", Type: "fka"}}},
	}}
	repeat(&imported)
	vessel := imported
	vessel.Thread, vessel.Current.Target = "designation/csl-sdn-310", record.Target{Schema: "Vessel", Name: "MV KESTREL", Country: "XB", RegistrationNumber: "7"}
	repeat(&vessel)
	return []view.WholeDesignation{full, bare, imported, vessel}
}

// write is what a format makes of designations.
func write(t *testing.T, begin func(io.Writer, listexport.Source) listexport.Writer, s listexport.Source, all ...view.WholeDesignation) string {
	t.Helper()
	var b bytes.Buffer
	w := begin(&b, s)
	for _, d := range all {
		if err := w.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// wantEqual compares what was read back with what was written, member by member of their JSON.
func wantEqual(t *testing.T, format string, got, want view.WholeDesignation) {
	t.Helper()
	if reflect.DeepEqual(got, want) {
		return
	}
	for _, d := range []*view.WholeDesignation{&got, &want} { // nil or empty is the same list
		if len(d.Records) == 0 {
			d.Records = nil
		}
		if len(d.Program) == 0 {
			d.Program, d.Current.Program = nil, nil
		}
	}
	if !reflect.DeepEqual(got, want) {
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		t.Errorf("%s: %s was read back as\n%s\nwant\n%s", format, want.Thread, a, b)
	}
}

// Every field of the register is in each line: a field that is new and is not read back
// fails this test.
func TestJSONCarriesEveryField(t *testing.T) {
	all := samples(t)
	ahead := source
	ahead.Ahead = true
	lines := strings.Split(strings.TrimSuffix(write(t, listexport.NewJSON, ahead, all...), "\n"), "\n")
	if len(lines) != len(all) {
		t.Fatalf("%d lines of %d designations", len(lines), len(all))
	}
	for i, line := range lines {
		var bound struct {
			Ahead            bool
			AsOf, Checkpoint string
		}
		if err := json.Unmarshal([]byte(line), &bound); err != nil || !bound.Ahead || bound.AsOf != "2027-01-02" || bound.Checkpoint != "docket.example/2026 27 r00t=" {
			t.Errorf("%+v, %v", bound, err)
		}
		wantEqual(t, "json", readJSON(t, []byte(line)), all[i])
	}
}

func readJSON(t *testing.T, text []byte) (d view.WholeDesignation) {
	t.Helper()
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestCSVCarriesEveryField(t *testing.T) {
	all := samples(t)
	text, marked := strings.CutPrefix(write(t, listexport.NewCSV, source, all...), view.ByteOrderMark)
	if !marked || !strings.HasPrefix(text, "thread,target.name,status,publishedInError,target.country,") {
		t.Errorf("the table begins %.80q", text)
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(all)+1 {
		t.Fatalf("%d rows of %d designations", len(rows), len(all))
	}
	for i, row := range rows[1:] {
		object := map[string]any{}
		for c, name := range rows[0] {
			text := row[c]
			if text != "" && strings.ContainsRune("=+-@\t\n", rune(text[0])) {
				t.Errorf("%s: a formula: %q", name, text)
			}
			if bare := strings.TrimLeft(text, "'"); bare != text && bare != "" && strings.ContainsRune("=+-@\t\n", rune(bare[0])) {
				text = text[1:]
			}
			switch name {
			case "asOf", "checkpoint":
				continue
			case "firstDay":
				name = "effectiveFrom"
			default:
				if typeOf(reflect.TypeFor[view.WholeDesignation](), name) == nil || recorded(name) {
					name = "designation." + name
				}
			}
			at := typeOf(reflect.TypeFor[view.WholeDesignation](), name)
			if at == nil {
				t.Fatalf("column %s names no field", rows[0][c])
			}
			set(object, strings.Split(name, "."), value(t, text, at))
		}
		raw, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		got := readJSON(t, raw)
		repeat(&got)
		wantEqual(t, "csv", got, all[i])
	}
	if first := rows[1][len(rows[1])-2:]; !slices.Equal(first, []string{"2027-01-02", "docket.example/2026 27 r00t="}) {
		t.Errorf("as of %q", first)
	}
}

// recorded tells whether a column is of what the records say, where a summary has one of that name too.
func recorded(name string) bool {
	return typeOf(reflect.TypeFor[record.Designation](), name) != nil
}

// typeOf is the type of a member by its path in JSON, nil if there is none.
func typeOf(t reflect.Type, path string) reflect.Type {
	name, rest, more := strings.Cut(path, ".")
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case f.Anonymous && tag == "":
			if found := typeOf(inner, path); found != nil {
				return found
			}
		case tag == name && !more:
			return inner
		case tag == name && inner.Kind() == reflect.Struct:
			return typeOf(inner, rest)
		}
	}
	return nil
}

// value reads a cell as JSON; nil for one that is empty.
func value(t *testing.T, text string, of reflect.Type) any {
	if text == "" {
		return nil
	}
	switch of.Kind() {
	case reflect.Bool, reflect.Int64, reflect.Uint64:
		return json.RawMessage(text)
	case reflect.Slice:
		if item := of.Elem(); item.Kind() == reflect.Struct && item != reflect.TypeFor[record.Date]() {
			return json.RawMessage(text)
		}
		var list []any
		for _, item := range regexp.MustCompile(`(?s)(?:[^;\\]|\\.)+`).FindAllString(text, -1) {
			item = regexp.MustCompile(`(?s)\\(.)`).ReplaceAllString(strings.TrimPrefix(item, " "), "$1")
			list = append(list, value(t, item, of.Elem()))
		}
		return list
	}
	return text
}

// set puts a value into an object; what is nil leaves no trace.
func set(object map[string]any, path []string, v any) {
	if v == nil {
		return
	}
	if len(path) == 1 {
		object[path[0]] = v
		return
	}
	inner, _ := object[path[0]].(map[string]any)
	if inner == nil {
		inner = map[string]any{}
		object[path[0]] = inner
	}
	set(inner, path[1:], v)
}

// modelProperties are the properties of FollowTheMoney's model that are used, by schema.
// Source: its schema folder, Thing, LegalEntity, Vehicle, Vessel, Address, Interval and Sanction.
var modelProperties = map[string]string{
	"Thing":       " name alias weakAlias previousName topics program country keywords address addressEntity ",
	"LegalEntity": " registrationNumber leiCode website ",
	"Vehicle":     " registrationNumber ",
	"Vessel":      " flag ",
	"Address":     " full street city region postalCode ",
	"Sanction":    " entity authority authorityId program status startDate endDate listingDate provisions reason country summary recordId publisher sourceUrl ",
}

var modelSchemata = map[string][]string{
	"Person": {"Thing", "LegalEntity"}, "LegalEntity": {"Thing", "LegalEntity"}, "Organization": {"Thing", "LegalEntity"}, "Company": {"Thing", "LegalEntity"},
	"Vessel": {"Thing", "Vehicle", "Vessel"}, "Airplane": {"Thing", "Vehicle"}, "Territory": {"Thing"},
	"Address": {"Thing", "Address"}, "Sanction": {"Sanction"},
}

// Every field is in the Sanction; what the model has a property for is there under its name;
// and nothing is that the model does not know.
func TestFTMCarriesEveryField(t *testing.T) {
	all := samples(t)
	for _, schema := range []string{"Person", "Organization", "Company", "LegalEntity", "Vessel", "Airplane", "Jurisdiction"} {
		d := all[0]
		d.Current.Target.Schema = schema
		d.Thread = record.Thread("designation/" + strings.ToLower(schema))
		repeat(&d)
		all = append(all, d)
	}
	all = all[1:] // of the first no schema is one
	text := write(t, listexport.NewFTM, source, all...)
	type entity struct {
		ID, Schema string
		Properties map[string][]string
		Docket     json.RawMessage
	}
	byID := map[string]entity{}
	sanctions := 0
	for line := range strings.Lines(text) {
		var e entity
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`^[0-9a-zA-Z]([0-9a-zA-Z.\-]*[0-9a-zA-Z])?$`).MatchString(e.ID) {
			t.Errorf("%q is no entity's ID", e.ID)
		}
		byID[e.ID] = e
		schemata := modelSchemata[e.Schema]
		if e.Schema != "" && schemata == nil {
			t.Errorf("schema %q", e.Schema)
		}
		for name, values := range e.Properties {
			if e.Schema != "" && !slices.ContainsFunc(schemata, func(s string) bool { return strings.Contains(modelProperties[s], " "+name+" ") }) {
				t.Errorf("a %s has no property %s", e.Schema, name)
			}
			if len(values) == 0 || slices.Contains(values, "") {
				t.Errorf("%s of %s: %q", name, e.ID, values)
			}
		}
		if e.Docket != nil {
			wantEqual(t, "ftm", readJSON(t, e.Docket), all[sanctions])
			target := byID[e.Properties["entity"][0]]
			wantProperties(t, target.Properties, e.Properties, all[sanctions])
			for _, id := range target.Properties["addressEntity"] {
				if byID[id].Schema != "Address" {
					t.Errorf("%s of %s is no address", id, target.ID)
				}
			}
			sanctions++
		}
	}
	if sanctions != len(all) {
		t.Errorf("%d sanctions of %d designations", sanctions, len(all))
	}
}

// wantProperties compares what a target and its sanction say with what they are of.
func wantProperties(t *testing.T, target, sanction map[string][]string, d view.WholeDesignation) {
	t.Helper()
	var names []string
	for _, property := range []string{"alias", "weakAlias", "previousName"} {
		names = append(names, target[property]...)
	}
	var want []string
	for _, a := range d.Current.Target.Alias {
		want = append(want, a.Name)
	}
	want = append(want, d.FormerName...)
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("%s: other names %q, want %q", d.Thread, names, want)
	}
	if name := target["name"]; d.Name != "" && !slices.Equal(name, []string{d.Name}) || len(sanction["program"]) != len(d.Program) || sanction["startDate"][0] != d.EffectiveFrom.String() {
		t.Errorf("%s: %v, %v", d.Thread, target, sanction)
	}
}

// The bytes of each format, and that writing the same again gives the same.
func TestGolden(t *testing.T) {
	all := samples(t)[2:]
	for name, begin := range map[string]func(io.Writer, listexport.Source) listexport.Writer{
		"csv": listexport.NewCSV, "json": listexport.NewJSON, "ftm": listexport.NewFTM, "csl": listexport.NewCSL,
	} {
		got := write(t, begin, source, all...)
		if again := write(t, begin, source, all...); again != got {
			t.Errorf("%s: written again it is another text", name)
		}
		file := filepath.Join("testdata", "export."+name)
		if refusaltest.Update() {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(file); err != nil || string(want) != got {
			t.Errorf("%s differs (-update writes it anew), %v:\n%s", file, err, got)
		}
	}
}

// A disk that is full shows at the end, if not before.
func TestWritesFail(t *testing.T) {
	for _, begin := range []func(io.Writer, listexport.Source) listexport.Writer{listexport.NewCSV, listexport.NewJSON, listexport.NewFTM, listexport.NewCSL} {
		w := begin(full{}, source)
		err := w.Add(samples(t)[2])
		if err == nil {
			err = w.Close()
		}
		if err == nil {
			t.Errorf("%T: no error", w)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
