// The meeting: stage, panels, controls. React draws the frame; pictures and sound are `src/media`.

import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { Sound } from "../media/sound";
import type { StageInfo } from "../media/stage";
import { t } from "../i18n/t";
import { Button } from "../ui/Button";
import { useCell } from "../ui/useCell";
import { keepFocus } from "./focus";
import { useKeys } from "./keys";
import styles from "./Room.module.css";
import { SelfView } from "./SelfView";
import { useSession } from "./session";
import { StageView } from "./StageView";
import { Toolbar } from "./Toolbar";
import { TopBar } from "./TopBar";

// Panels load when they are first opened: nobody waits for them at the door.
const ChatPanel = lazy(async () => ({ default: (await import("./ChatPanel")).ChatPanel }));
const PeoplePanel = lazy(async () => ({ default: (await import("./PeoplePanel")).PeoplePanel }));
const KeysDialog = lazy(async () => ({ default: (await import("./KeysDialog")).KeysDialog }));

const NOTHING: StageInfo = { pages: 1, page: 0, sharing: null };

export function Room() {
  const session = useSession();
  const panel = useCell(session.panel);
  const keys = useCell(session.keysShown);
  const [info, setInfo] = useState(NOTHING);
  const sound = useSound();
  const room = useRef<HTMLElement>(null);
  useKeys(session, room);
  useEffect(() => (room.current ? keepFocus(room.current) : undefined), []);
  return (
    <main ref={room} aria-label={t("room.main")} className={styles["room"]} data-panel={panel ?? "none"}>
      <TopBar sharing={info.sharing} />
      <SoundBar sound={sound} />
      <div className={styles["middle"]}>
        <section aria-label={t("room.stage")} data-region="stage" data-focus-home tabIndex={-1} className={styles["stage"]}>
          <StageView info={info} onInfo={setInfo}><SelfView /></StageView>
        </section>
        <Suspense>
          {panel === "people" ? <PeoplePanel /> : null}
          {panel === "chat" ? <ChatPanel /> : null}
        </Suspense>
      </div>
      <Toolbar />
      <Suspense>{keys ? <KeysDialog onClose={() => session.keysShown.set(false)} /> : null}</Suspense>
    </main>
  );
}

/** The meeting's sound, for as long as the room is shown. */
function useSound(): Sound {
  const { meeting } = useSession();
  const [sound] = useState(() => new Sound(meeting, document.body));
  useEffect(() => () => sound.close(), [sound]);
  return sound;
}

function SoundBar({ sound }: { sound: Sound }) {
  const blocked = useCell(sound.blocked);
  if (!blocked) return null;
  return (
    <div role="status" className={styles["bar"]}>
      <span>{t("sound.off")}</span>
      <Button tone="primary" onPress={() => sound.play()}>{t("sound.on")}</Button>
    </div>
  );
}
