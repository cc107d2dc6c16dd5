package view

import (
	"reflect"
	"slices"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// A kind of record whose row is missing, or incomplete, is named.
func TestEveryKindIsTold(t *testing.T) {
	for _, name := range record.Kinds() {
		row := reflect.ValueOf(kinds[name])
		for i := range row.NumField() {
			if field := row.Field(i); field.Kind() == reflect.Func && field.IsNil() {
				t.Errorf("%s: its row in kinds has no %s", name, row.Type().Field(i).Name)
			}
		}
	}
	for name := range kinds {
		if !slices.Contains(record.Kinds(), name) {
			t.Errorf("%s has a row in kinds, and is no kind of record", name)
		}
	}
}
