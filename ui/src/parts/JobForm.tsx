// The fields of a job that most people set, over the same text as the editor beside it: what is set
// here is changed there and nothing else, comments stay.

import { type ReactNode, useId } from "react";
import { Document, isMap, parseDocument } from "yaml";

type Fault = { pointer: string; detail: string };
type Props = { text: string; named: boolean; faults: Fault[]; change: (text: string) => void };
type Path = string[];

const ZONES = typeof Intl.supportedValuesOf === "function" ? Intl.supportedValuesOf("timeZone") : [];
const RUNNERS: Record<string, object> = {
  shell: { type: "shell", command: "echo hello" },
  python: { type: "python", code: "def run(params):\n    print(params)\n" },
  http: { type: "http", method: "POST", url: "https://example.org/hook" },
};
const OVERLAPS: [string, string][] = [
  ["", "skip: recorded as skipped"],
  ["allow", "allow: another starts beside it"],
  ["queue_one", "queue_one: one more waits"],
  ["queue_all", "queue_all: all wait in order"],
  ["cancel_running", "cancel_running: it is cancelled"],
];

/** The text with a value at a path; without one the field goes. Null keeps its place: more is being typed. */
function put(text: string, path: Path, value: unknown): string {
  const read = parseDocument(text);
  const document: Document = isMap(read.contents) ? read : new Document({});
  if (value === undefined) {
    document.deleteIn(path);
    const above = path.slice(0, -1);
    const left = above.length > 0 && document.getIn(above);
    if (isMap(left) && left.items.length === 0) document.deleteIn(above);
  } else {
    const above = path.slice(0, -1);
    if (above.length > 0 && !isMap(document.getIn(above))) document.setIn(above, document.createNode({}));
    document.setIn(path, value);
  }
  return document.toString({ lineWidth: 0 });
}

/** The text as a definition; null: it can't be read, and the editor says why. */
function readable(text: string): Document.Parsed | null {
  const document = parseDocument(text);
  return document.errors.length === 0 && (document.contents === null || isMap(document.contents)) ? document : null;
}

export function JobForm({ text, named, faults, change }: Props) {
  const zones = useId();
  const document = readable(text);
  if (!document) return <p className="dim">The text can&rsquo;t be read as YAML: the form is back when it can.</p>;
  const at = (...path: Path): string => {
    const value = document.getIn(path);
    return value === undefined || value === null || typeof value === "object" ? "" : String(value);
  };
  const set = (path: Path, value: unknown) => change(put(text, path, value));
  const plain = at("code") !== "";
  const kind = at("runner", "type") || (plain ? "python" : "");
  const code = plain ? ["code"] : ["runner", "code"];
  const typed = (path: Path) => ({
    value: at(...path),
    onChange: (event: { target: { value: string } }) => set(path, event.target.value || null),
    onBlur: () => at(...path) === "" && document.hasIn(path) && set(path, undefined),
  });
  const field = (label: string, path: Path, input: ReactNode) => <Field key={path.join("/")} label={label} faults={faults.filter((fault) => fault.pointer === `/${path.join("/")}`)}>{input}</Field>;
  const line = (label: string, path: Path, more: object = {}) => field(label, path, <input {...typed(path)} {...more} />);
  const many = (label: string, path: Path) => field(label, path, <textarea rows={5} spellCheck={false} {...typed(path)} />);
  return (
    <form className="job-form" onSubmit={(event) => event.preventDefault()} aria-label="The definition, as a form">
      {!named && line("Name", ["name"])}
      {line("What it is for", ["description"])}
      {line("Schedule", ["expr"], { placeholder: "*/15 * * * *, @daily, @every 90s" })}
      {line("Time zone", ["timezone"], { placeholder: "UTC", list: zones })}
      <datalist id={zones}>{ZONES.map((zone) => <option key={zone} value={zone} />)}</datalist>
      {field(
        "Runs",
        ["runner", "type"],
        <select
          value={kind}
          onChange={(event) => {
            const without = plain ? put(text, ["code"], undefined) : text;
            change(put(without, ["runner"], RUNNERS[event.target.value]));
          }}
        >
          <option value="">nothing: it only holds others</option>
          {Object.keys(RUNNERS).map((one) => <option key={one}>{one}</option>)}
        </select>,
      )}
      {kind === "shell" && many("Command", ["runner", "command"])}
      {kind === "python" && many("Code", code)}
      {kind === "http" && line("Method", ["runner", "method"], { placeholder: "GET" })}
      {kind === "http" && line("Address", ["runner", "url"])}
      {line("At most so long", ["timeout"], { placeholder: "no bound, or 5m" })}
      {field(
        "If a run is still going",
        ["overlap"],
        <select value={at("overlap") === "skip" ? "" : at("overlap")} onChange={(event) => set(["overlap"], event.target.value || undefined)}>
          {OVERLAPS.map(([value, words]) => <option key={value} value={value}>{words}</option>)}
        </select>,
      )}
      {field(
        "Attempts",
        ["retry", "max_attempts"],
        <input
          inputMode="numeric"
          placeholder="1"
          {...typed(["retry", "max_attempts"])}
          onChange={(event) => set(["retry", "max_attempts"], /^\d+$/.test(event.target.value) ? Number(event.target.value) : event.target.value || null)}
        />,
      )}
      {at("retry", "max_attempts") && line("From one to the next", ["retry", "delay"], { placeholder: "10s" })}
      {line("Queue", ["queue"])}
    </form>
  );
}

function Field({ label, faults, children }: { label: string; faults: Fault[]; children: ReactNode }) {
  return (
    <label className={faults.length ? "faulty" : undefined}>
      <span>{label}</span>
      {children}
      {faults.map((fault) => <em key={fault.detail}>{fault.detail}</em>)}
    </label>
  );
}
