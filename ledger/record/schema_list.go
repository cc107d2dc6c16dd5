package record

import "reflect"

func (d *decoder) list(v any, sh *shape, dst reflect.Value) {
	items, ok := v.([]any)
	switch {
	case !ok:
		d.wants(v, "a list")
		return
	case len(items) > sh.items:
		d.fault("holds %d items; at most %d are allowed", len(items), sh.items)
		return
	case len(items) == 0 && sh.needsItem && !d.partial:
		d.fault("is empty; at least one item is needed")
		return
	case len(items) == 0:
		return // as if it were absent
	}
	partial, lists := d.partial, d.lists
	d.partial, d.lists = false, false
	list := reflect.MakeSlice(dst.Type(), len(items), len(items))
	faults := len(d.faults)
	for i, item := range items {
		if d.full() {
			break
		}
		d.item(i)
		d.value(item, sh.item, list.Index(i))
		d.out()
	}
	dst.Set(list)
	if len(d.faults) == faults {
		d.unique(list, sh)
	}
	d.partial, d.lists = partial, lists
}

// unique: every list of a record is a set in an order, so that "drop this item"
// has one meaning.
func (d *decoder) unique(list reflect.Value, sh *shape) {
	if list.Len() < 2 {
		return
	}
	first := make(map[string]int, list.Len())
	var b []byte
	for i := range list.Len() {
		b = appendValue(b[:0], list.Index(i), sh.item)
		if j, twice := first[string(b)]; twice {
			d.item(i)
			d.fault("is the same as item %d", j)
			d.out()
			continue
		}
		first[string(b)] = i
	}
}

func (d *decoder) dict(v any, sh *shape, dst reflect.Value) {
	o, ok := v.(Object)
	switch {
	case !ok:
		d.wants(v, "an object")
		return
	case len(o) == 0:
		d.fault("is empty: leave it out")
		return
	case len(o) > sh.items:
		d.fault("holds %d members; at most %d are allowed", len(o), sh.items)
		return
	}
	dst.Set(reflect.MakeMapWithSize(dst.Type(), len(o)))
	value := reflect.New(dst.Type().Elem()).Elem()
	for _, m := range o {
		d.into(m.Name)
		if fault := sh.names.Fault(m.Name); fault != "" {
			d.fault("the name %s", fault)
		}
		value.SetZero()
		d.value(m.Value, sh.item, value)
		dst.SetMapIndex(reflect.ValueOf(m.Name), value)
		d.out()
	}
}

// fragment judges a part of an object, member by member, and throws the decoded
// values away: [Amend] decodes them again where they go.
func (d *decoder) fragment(o Object, sh *shape) {
	if len(o) == 0 {
		d.fault("is empty: leave it out")
		return
	}
	partial, lists := d.partial, d.lists
	d.partial, d.lists = true, sh.lists
	scratch := reflect.New(sh.fragment.typ).Elem()
	d.object(o, sh.fragment, scratch, scratch)
	d.partial, d.lists = partial, lists
}
