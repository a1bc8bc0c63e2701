// A text with lines, colours and search: CodeMirror, loaded only where a text is shown. A definition
// that is written has help: the fields and words of its schema, and marks where the server complains.

import { type CompletionContext, type CompletionResult, autocompletion } from "@codemirror/autocomplete";
import { python } from "@codemirror/lang-python";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { shell } from "@codemirror/legacy-modes/mode/shell";
import { setDiagnostics } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { tags } from "@lezer/highlight";
import { EditorView, basicSetup } from "codemirror";
import { useEffect, useRef } from "react";

import type { Schema } from "../api/client";
import { type Schemas, offers, placeOf } from "../model/help";

type Props = {
  /** Where nothing is written, what is shown. Where `change` is told, what the writing begins with: a
   * later value would be one that the editor told of itself, and by then it may hold newer text, which
   * is not to be lost. Whoever gives a writer another text gives the element another key. */
  value: string;
  language: "yaml" | "python" | "shell";
  label: string;
  readOnly?: boolean;
  change?: (value: string) => void;
  /** The schema that is written after. */
  help?: { schemas: Schemas; root: string } | null;
  /** What is wrong with it, and where. */
  faults?: Pick<Schema["Fault"], "pointer" | "detail">[];
  /** How often `value` was put in place of what the editor has; else it goes its own way from the first. */
  round?: number;
};

// In a shadow root the editor brings its styles as adopted sheets, which a strict policy for styles
// allows; elsewhere it would write a <style> element. The page's colours come in as variables.
const THEME = EditorView.theme({
  "&": { background: "var(--pane)", color: "var(--ink)", border: "1px solid var(--line)", borderRadius: "4px", fontSize: "12px" },
  ".cm-gutters": { background: "var(--bg)", color: "var(--faint)", borderRight: "1px solid var(--line)" },
  ".cm-activeLine, .cm-activeLineGutter": { background: "color-mix(in srgb, var(--accent) 7%, transparent)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  "&.cm-focused": { outline: "2px solid var(--accent)" },
  ".cm-panels": { background: "var(--bg)", color: "var(--ink)" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad)", textDecorationSkipInk: "none" },
  ".cm-tooltip": { background: "var(--pane)", color: "var(--ink)", border: "1px solid var(--line)" },
  ".cm-diagnostic-error": { borderLeft: "3px solid var(--bad)" },
  ".cm-completionInfo": { maxWidth: "36ch", padding: "4px 8px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { background: "var(--accent)", color: "var(--bg)" },
  ".cm-selectionBackground, &.cm-focused .cm-selectionBackground": { background: "color-mix(in srgb, var(--accent) 25%, transparent)" },
});

/** Colours of the words of a language: the page's own, so that both themes can be read. */
const WORDS = HighlightStyle.define([
  { tag: [tags.propertyName, tags.keyword, tags.definition(tags.propertyName)], color: "var(--accent)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--ok)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--wait)" },
  { tag: [tags.comment, tags.meta], color: "var(--faint)" },
]);

const LANGUAGES = { yaml, python, shell: () => StreamLanguage.define(shell) };

/** What the schema offers where the caret is; asked for by a key, it also comes where no word was begun. */
function complete(help: Props["help"], context: CompletionContext): CompletionResult | null {
  const found = help && offers(help.schemas, help.root, context.state.doc.toString(), context.pos);
  if (!found || (found.from === context.pos && !context.explicit)) return null;
  const options = found.list.map(({ word, about, of }) => ({
    label: word,
    type: of === "field" ? "property" : "enum",
    info: about || undefined,
    apply: of === "field" ? `${word}: ` : word,
  }));
  return { from: found.from, options, validFor: /^[\w.-]*$/ };
}

/** What is other in a text: only that is replaced, so that the caret and what is folded stay. */
function other(before: string, after: string) {
  let from = 0;
  while (from < before.length && before[from] === after[from]) from++;
  let end = 0;
  const most = Math.min(before.length, after.length) - from;
  while (end < most && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  return { from, to: before.length - end, insert: after.slice(from, after.length - end) };
}

export default function Text({ value, language, label, readOnly = false, change, help, faults, round = 0 }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const told = useRef(change);
  told.current = change;
  const known = useRef(help);
  known.current = help;
  useEffect(() => {
    if (!place.current) return;
    const root = place.current.shadowRoot ?? place.current.attachShadow({ mode: "open" });
    view.current = new EditorView({
      parent: root,
      root,
      state: EditorState.create({
        doc: value,
        extensions: [
          syntaxHighlighting(WORDS),
          basicSetup,
          THEME,
          LANGUAGES[language](),
          ...(readOnly ? [] : [autocompletion({ override: [(context) => complete(known.current, context)], icons: false })]),
          EditorView.lineWrapping,
          EditorState.readOnly.of(readOnly),
          EditorView.contentAttributes.of({ "aria-label": label }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) told.current?.(update.state.doc.toString());
          }),
        ],
      }),
    });
    return () => view.current?.destroy();
    // The editor owns its text: what is shown only is taken in below.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [language, readOnly, label]);
  useEffect(() => {
    const now = view.current;
    if (readOnly && now && now.state.doc.toString() !== value) {
      now.dispatch({ changes: { from: 0, to: now.state.doc.length, insert: value } });
    }
  }, [value, readOnly]);
  const shown = useRef(round);
  useEffect(() => {
    const now = view.current;
    if (!now || shown.current === round) return;
    shown.current = round;
    now.dispatch({ changes: other(now.state.doc.toString(), value) });
  }, [round, value]);
  const wrong = JSON.stringify(faults ?? []);
  useEffect(() => {
    const now = view.current;
    if (!now || readOnly) return;
    const text = now.state.doc.toString();
    const list = JSON.parse(wrong) as NonNullable<Props["faults"]>;
    const marks = list.map((fault) => ({ ...placeOf(text, fault.pointer), severity: "error" as const, message: fault.detail }));
    now.dispatch(setDiagnostics(now.state, marks));
  }, [wrong, readOnly]);
  return <div className="text" ref={place} />;
}
