package prose

import "reflect"

// Replace puts show(text) in the place of every text within what to points to: of all strings but those in keep, those
// of a type of their own, and fields with the tag `text:"-"`, which are identifiers and numbers. To is plain data:
// structures, slices, maps and pointers without circles.
func Replace(to any, keep map[string]bool, show func(string) string) {
	replacer{keep, show}.within(reflect.ValueOf(to).Elem())
}

type replacer struct {
	keep map[string]bool
	show func(string) string
}

func (r replacer) within(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() && v.Type() == reflect.TypeFor[string]() {
			v.SetString(r.text(v.String()))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			r.within(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("text") != "-" {
				r.within(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if v.Type().Elem().Kind() == reflect.Uint8 {
				return
			}
			r.within(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			copied := reflect.New(v.Type().Elem()).Elem()
			copied.Set(v.MapIndex(key))
			r.within(copied)
			v.SetMapIndex(key, copied)
		}
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		copied := reflect.New(v.Elem().Type()).Elem()
		copied.Set(v.Elem())
		r.within(copied)
		if v.CanSet() {
			v.Set(copied)
		}
	}
}

func (r replacer) text(s string) string {
	if r.keep[s] {
		return s
	}
	return r.show(s)
}
