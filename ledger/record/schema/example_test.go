package schema_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// A person's word, with a type of its own for its day.
type promise struct {
	By    string   `json:"by" rule:"required fmt=segment max=64" doc:"who promises"`
	What  string   `json:"what" rule:"required enum=pay|deliver" doc:"what is promised"`
	Until weekday  `json:"until" rule:"required late" doc:"the last day"`
	Terms []string `json:"terms,omitempty" rule:"items=2" doc:"on what terms"`
}

type weekday int

const days = "MonTueWedThuFriSatSun"

func parseWeekday(s string) (weekday, error) {
	if i := strings.Index(days, s); len(s) == 3 && i%3 == 0 {
		return weekday(i / 3), nil
	}
	return 0, errors.New("is no day like Mon")
}

func (d weekday) String() string { return days[3*d : 3*d+3] }

var promiseShape = (&schema.Types{Scalars: []schema.Scalar{
	schema.ScalarOf(parseWeekday, weekday.String, schema.ObjectOf("type", "string", "minLength", int64(3), "maxLength", int64(3))),
}}).Shape(reflect.TypeFor[promise]())

func Example() {
	decode := func(text string) (p promise, faults []schema.Fault) {
		v, err := schema.ParseJSON([]byte(text))
		if err != nil {
			return p, []schema.Fault{{Detail: err.Error()}}
		}
		var d schema.Decoder
		d.Object(v.(schema.Object), promiseShape, &p)
		return p, d.Faults
	}
	p, _ := decode(`{"what": "pay", "by": "acme", "until": "Fri", "terms": []}`)
	fmt.Println(string(schema.AppendObject(nil, promiseShape, &p)))
	_, faults := decode(`{"by": "Acme", "what": "delver", "until": "Fry", "terms": ["cash", "cash"]}`)
	for _, f := range faults {
		fmt.Println(f)
	}
	// Output:
	// {"by":"acme","what":"pay","until":"Fri"}
	// /by: "Acme" is not 1 to 64 of a-z, 0-9, '.' and '-', not beginning with '.' or '-'
	// /what: is "delver"; want one of pay, deliver; did you mean "deliver"?
	// /until: is no day like Mon
	// /terms/1: is the same as item 0
}

// A draft may lack what is filled in later, and nothing else.
func ExampleDecoder_draft() {
	d := schema.Decoder{Draft: true}
	d.Object(schema.ObjectOf("by", "acme"), promiseShape, new(promise))
	fmt.Println(d.Faults)
	// Output: [/what: is missing]
}
