import { Head } from "../parts/small";
import { Legend } from "../parts/Strip";
import { KEYS } from "../shell/keys";

export function Help() {
  return (
    <>
      <Head title="Help" />
      <h2>Cells</h2>
      <p>Every nominal time of every job ends in exactly one outcome. A strip shows the last sixty and the next five; a cell opens why.</p>
      <Legend />
      <h2>Keys</h2>
      <table>
        <tbody>
          {KEYS.map(([key, what]) => (
            <tr key={key}>
              <td>
                <kbd>{key}</kbd>
              </td>
              <td className="fill">{what}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <h2>More</h2>
      <p>
        <a href="/docs">The REST interface</a>: this page uses nothing else. <code>cronapi --help</code> shows the command line.
      </p>
    </>
  );
}
