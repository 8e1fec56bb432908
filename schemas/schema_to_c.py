#!/usr/bin/env python3
"""Turns NAME.avsc into NAME_avsc.h: the schema's text, its Parsing Canonical Form's CRC-64-AVRO
fingerprint, and the 10 bytes that begin each message (Avro, "Single-object encoding")."""
import json
import pathlib
import sys

PRIMITIVE = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}


def canonical(schema, namespace=""):
    """Parsing Canonical Form, as the Avro specification's "Transforming into PCF" says."""
    if isinstance(schema, str):
        return json.dumps(schema if schema in PRIMITIVE or "." in schema or not namespace
                          else namespace + "." + schema)
    if isinstance(schema, list):
        return "[" + ",".join(canonical(s, namespace) for s in schema) + "]"
    kind = schema["type"]
    if kind in PRIMITIVE:
        return json.dumps(kind)
    if kind == "array":
        return '{"type":"array","items":%s}' % canonical(schema["items"], namespace)
    if kind == "map":
        return '{"type":"map","values":%s}' % canonical(schema["values"], namespace)
    space = schema.get("namespace", namespace)
    full = schema["name"] if "." in schema["name"] or not space else space + "." + schema["name"]
    if kind == "enum":
        return '{"name":%s,"type":"enum","symbols":%s}' % (
            json.dumps(full), json.dumps(schema["symbols"], separators=(",", ":")))
    if kind == "fixed":
        return '{"name":%s,"type":"fixed","size":%d}' % (json.dumps(full), schema["size"])
    fields = ",".join('{"name":%s,"type":%s}' % (json.dumps(f["name"]), canonical(f["type"], space))
                      for f in schema["fields"])
    return '{"name":%s,"type":"record","fields":[%s]}' % (json.dumps(full), fields)


def crc64_avro(data):
    empty = 0xC15D213AA4D7A795
    table = []
    for i in range(256):
        fp = i
        for _ in range(8):
            fp = (fp >> 1) ^ (empty if fp & 1 else 0)
        table.append(fp)
    fp = empty
    for byte in data:
        fp = (fp >> 8) ^ table[(fp ^ byte) & 0xFF]
    return fp


def main():
    source, target = map(pathlib.Path, sys.argv[1:])
    text = source.read_text(encoding="utf-8")
    fingerprint = crc64_avro(canonical(json.loads(text)).encode())
    name = source.stem.upper()
    head = b"\xc3\x01" + fingerprint.to_bytes(8, "little")
    body = ", ".join(str(b) for b in text.encode() + b"\0")
    target.write_text(
        f"/* Made from {source.name}. */\n#pragma once\n"
        f"#define {name}_FINGERPRINT UINT64_C(0x{fingerprint:016x})\n"
        f"#define {name}_HEAD \"{''.join(f'{chr(92)}x{b:02x}' for b in head)}\"\n"
        f"static const char {name.lower()}_avsc[] __attribute__((unused)) = {{{body}}};\n",
        encoding="utf-8")


if __name__ == "__main__":
    main()
