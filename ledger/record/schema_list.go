package record

import "reflect"

func (d *decoder) list(v any, sh *shape, dst reflect.Value) {
	items, ok := v.([]any)
	switch {
	case !ok:
		d.faultWrongType(v, "a list")
		return
	case len(items) > sh.maxItems:
		d.fault("holds %d items; at most %d are allowed", len(items), sh.maxItems)
		return
	case len(items) == 0 && sh.needsItem && !d.partial:
		d.fault("is empty; at least one item is needed")
		return
	case len(items) == 0:
		return // as if it were absent
	}
	partial, lists := d.partial, d.listsOnly
	d.partial, d.listsOnly = false, false
	list := reflect.MakeSlice(dst.Type(), len(items), len(items))
	faults := len(d.faults)
	for i, item := range items {
		if d.tooManyFaults() {
			break
		}
		d.enterItem(i)
		d.value(item, sh.item, list.Index(i))
		d.leave()
	}
	dst.Set(list)
	if len(d.faults) == faults {
		d.checkUnique(list, sh)
	}
	d.partial, d.listsOnly = partial, lists
}

// checkUnique: every list of a record is a set in an order, so that "drop this item"
// has one meaning.
func (d *decoder) checkUnique(list reflect.Value, sh *shape) {
	if list.Len() < 2 {
		return
	}
	first := make(map[string]int, list.Len())
	var b []byte
	for i := range list.Len() {
		b = appendValue(b[:0], list.Index(i), sh.item)
		if j, twice := first[string(b)]; twice {
			d.enterItem(i)
			d.fault("is the same as item %d", j)
			d.leave()
			continue
		}
		first[string(b)] = i
	}
}

func (d *decoder) mapValue(v any, sh *shape, dst reflect.Value) {
	o, ok := v.(Object)
	switch {
	case !ok:
		d.faultWrongType(v, "an object")
		return
	case len(o) == 0:
		d.fault("is empty: leave it out")
		return
	case len(o) > sh.maxItems:
		d.fault("holds %d members; at most %d are allowed", len(o), sh.maxItems)
		return
	}
	dst.Set(reflect.MakeMapWithSize(dst.Type(), len(o)))
	value := reflect.New(dst.Type().Elem()).Elem()
	for _, m := range o {
		d.enter(m.Name)
		if fault := sh.names.Fault(m.Name); fault != "" {
			d.fault("the name %s", fault)
		}
		value.SetZero()
		d.value(m.Value, sh.item, value)
		dst.SetMapIndex(reflect.ValueOf(m.Name), value)
		d.leave()
	}
}

// fragment judges a part of an object, member by member, and throws the decoded
// values away: [Amend] decodes them again where they go.
func (d *decoder) fragment(o Object, sh *shape) {
	if len(o) == 0 {
		d.fault("is empty: leave it out")
		return
	}
	partial, lists := d.partial, d.listsOnly
	d.partial, d.listsOnly = true, sh.listsOnly
	scratch := reflect.New(sh.fragment.typ).Elem()
	d.object(o, sh.fragment, scratch, scratch)
	d.partial, d.listsOnly = partial, lists
}
