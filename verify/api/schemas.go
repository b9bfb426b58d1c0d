package api

import (
	"encoding/json"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"trustcore/verify"
)

const schemaPrefix = "#/components/schemas/"

// newSchemas makes the register of schemas, which knows the types that write themselves as other JSON than their kind.
func newSchemas() huma.Registry {
	schemas := huma.NewMapRegistry(schemaPrefix, schemaName)
	schemas.RegisterTypeAlias(reflect.TypeFor[json.Number](), reflect.TypeFor[float64]())
	schemas.RegisterTypeAlias(reflect.TypeFor[verify.Container](), reflect.TypeFor[*string]())
	schemas.RegisterTypeAlias(reflect.TypeFor[verify.SubIndication](), reflect.TypeFor[*string]())
	return schemas
}

// schemaName keeps types of one name in several packages apart.
func schemaName(t reflect.Type, hint string) string {
	named := t
	for named.Kind() == reflect.Pointer || named.Kind() == reflect.Slice {
		named = named.Elem()
	}
	pkg := path.Base(named.PkgPath())
	return strings.ToUpper(pkg[:min(1, len(pkg))]) + pkg[min(1, len(pkg)):] + huma.DefaultSchemaNamer(t, hint)
}

// asEncoded puts the schemas right where huma and encoding/json see a type differently: fields of embedded types
// without exported names are written, and so is null for a pointer to an object, and for octets that are not there.
func (d *description) asEncoded() {
	for done := 0; done < len(d.schemas.Map()); { // completing one may bring another
		done = len(d.schemas.Map())
		for _, name := range slices.Sorted(maps.Keys(d.schemas.Map())) {
			if t := d.schemas.TypeFromRef(schemaPrefix + name); t != nil && t.Kind() == reflect.Struct {
				d.complete(d.schemas.Map()[name], t)
			}
		}
	}
	for _, schema := range d.schemas.Map() {
		schema.PrecomputeMessages()
	}
}

// complete puts the schema of one type right.
func (d *description) complete(schema *huma.Schema, t reflect.Type) {
	for _, field := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous || name == "" || name == "-" || schema.Properties == nil {
			continue
		}
		property, always := schema.Properties[name], !strings.Contains(options, "omit")
		if property == nil {
			property = d.schemas.Schema(field.Type, true, "")
			schema.Properties[name] = property
			if always {
				schema.Required = append(schema.Required, name)
			}
		}
		if !always || !writesNull(field.Type) {
			continue
		}
		if target := d.schemas.Map()[strings.TrimPrefix(property.Ref, schemaPrefix)]; target != nil {
			target.Nullable = true
		} else {
			property.Nullable = true
		}
	}
}

// writesNull tells of types that may be null in JSON.
func writesNull(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map
}
