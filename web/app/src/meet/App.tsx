// Which screen is shown in which state.

import type { PageState } from "../../../sdk/src/index";
import { t } from "../i18n/t";
import { useCell } from "../ui/useCell";
import { EndCard } from "./EndCard";
import { PreJoin } from "./PreJoin";
import { Room } from "./Room";
import { useSession } from "./session";
import { ToastList } from "./ToastList";
import { WaitingRoom } from "./WaitingRoom";
import { inRoom } from "./words";

export function App() {
  const state = useCell(useSession().meeting.state);
  return (
    <>
      {inRoom(state) ? null : <ToastList />}
      <Screen state={state} />
    </>
  );
}

function Screen({ state }: { state: PageState }) {
  switch (state) {
    case "boot":
      return <main aria-busy="true"><h1 className="visually-hidden">{t("boot")}</h1></main>;
    case "prejoin":
      return <PreJoin />;
    case "waiting":
      return <WaitingRoom />;
    case "connecting":
    case "live":
    case "reconnecting":
      return <Room />;
    default:
      return <EndCard state={state} />;
  }
}
