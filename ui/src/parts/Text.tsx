// A text with lines, colours and search: CodeMirror, loaded only where a text is shown.

import { python } from "@codemirror/lang-python";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { shell } from "@codemirror/legacy-modes/mode/shell";
import { EditorState } from "@codemirror/state";
import { tags } from "@lezer/highlight";
import { EditorView, basicSetup } from "codemirror";
import { useEffect, useRef } from "react";

type Props = {
  value: string;
  language: "yaml" | "python" | "shell";
  label: string;
  readOnly?: boolean;
  change?: (value: string) => void;
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

export default function Text({ value, language, label, readOnly = false, change }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const told = useRef(change);
  told.current = change;
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
    // The editor owns its text: a new value from outside is taken in below.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [language, readOnly, label]);
  useEffect(() => {
    const now = view.current;
    if (now && now.state.doc.toString() !== value) {
      now.dispatch({ changes: { from: 0, to: now.state.doc.length, insert: value } });
    }
  }, [value]);
  return <div className="text" ref={place} />;
}
