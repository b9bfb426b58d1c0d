//go:build js

package main

import (
	"errors"
	"fmt"
	"syscall/js"
)

// octets copies what a Uint8Array holds.
func octets(array js.Value) []byte {
	data := make([]byte, array.Get("length").Int())
	js.CopyBytesToGo(data, array)
	return data
}

// promise runs do beside the browser's own loop, and settles a promise with what comes of it.
func promise(do func() (any, error)) js.Value {
	var start js.Func
	start = js.FuncOf(func(_ js.Value, settle []js.Value) any {
		go func() {
			defer start.Release()
			value, err := do()
			if err != nil {
				settle[1].Invoke(js.Global().Get("Error").New(err.Error()))
				return
			}
			settle[0].Invoke(value)
		}()
		return nil
	})
	return js.Global().Get("Promise").New(start)
}

// await waits for a promise.
func await(p js.Value) (js.Value, error) {
	type outcome struct {
		value js.Value
		err   error
	}
	settled := make(chan outcome, 1)
	good := js.FuncOf(func(_ js.Value, args []js.Value) any { settled <- outcome{value: args[0]}; return nil })
	bad := js.FuncOf(func(_ js.Value, args []js.Value) any {
		settled <- outcome{err: errors.New(args[0].Call("toString").String())}
		return nil
	})
	defer good.Release()
	defer bad.Release()
	p.Call("then", good, bad)
	o := <-settled
	return o.value, o.err
}

// post sends JSON to the server that the page is from, and returns its answer.
func post(address string, body []byte) ([]byte, error) {
	array := js.Global().Get("Uint8Array").New(len(body))
	js.CopyBytesToJS(array, body)
	response, err := await(js.Global().Call("fetch", address, map[string]any{
		"method": "POST", "body": array, "headers": map[string]any{"Content-Type": "application/json"}}))
	if err != nil {
		return nil, err
	}
	if !response.Get("ok").Bool() {
		return nil, fmt.Errorf("the server answered %d", response.Get("status").Int())
	}
	buffer, err := await(response.Call("arrayBuffer"))
	if err != nil {
		return nil, err
	}
	return octets(js.Global().Get("Uint8Array").New(buffer)), nil
}
