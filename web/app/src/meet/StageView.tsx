// Mounts the stage in the page, and shows a tile's menu where it was asked for.

import { type ReactNode, useCallback, useEffect, useRef, useState } from "react";
import { Stage, type StageInfo } from "../media/stage";
import { t } from "../i18n/t";
import { IconButton } from "../ui/Button";
import { NextIcon, PreviousIcon } from "../ui/Icon";
import { MenuAt } from "../ui/Menu";
import { useCell, useSelected } from "../ui/useCell";
import { usePersonMenu } from "./personMenu";
import { useSession } from "./session";
import styles from "./StageView.module.css";
import { stageTexts } from "./words";

interface StageViewProps {
  info: StageInfo;
  onInfo(info: StageInfo): void;
  /** What lies over the stage in a corner. */
  children?: ReactNode;
}

export function StageView({ info, onInfo, children }: StageViewProps) {
  const { meeting, layout, panel, pins, met } = useSession();
  const host = useRef<HTMLDivElement>(null);
  const overlays = useRef<HTMLDivElement>(null);
  const stage = useRef<Stage | null>(null);
  const menuAnchor = useRef<HTMLElement | null>(null);
  const [menuFor, setMenuFor] = useState<string | null>(null);
  const joining = useCell(meeting.state) === "connecting";
  const left = useCell(met);
  const alone = useSelected(meeting.count, (count) => count <= 1);
  const shownLayout = useCell(layout);
  const shownPins = useCell(pins);
  const latest = useRef(info);
  const closeMenu = useCallback(() => setMenuFor(null), []);

  const tell = useCallback((next: StageInfo) => {
    const now = latest.current;
    if (now.page === next.page && now.pages === next.pages && now.sharing === next.sharing) return;
    latest.current = next;
    onInfo(next);
  }, [onInfo]);

  useEffect(() => {
    if (!host.current) return undefined;
    const made = new Stage(host.current, meeting, stageTexts, overlays.current);
    made.onInfo = tell;
    made.onMenu = (participant, button) => {
      menuAnchor.current = button;
      setMenuFor(participant);
    };
    made.onMore = () => panel.set("people");
    stage.current = made;
    return () => {
      made.close();
      stage.current = null;
    };
  }, [meeting, panel, tell]);
  useEffect(() => {
    if (stage.current) stage.current.layout = shownLayout;
  }, [shownLayout]);
  useEffect(() => {
    if (stage.current) stage.current.pins = shownPins;
  }, [shownPins]);

  return (
    <>
      <div ref={host} className="stage" />
      {joining ? <p aria-busy="true" className={styles["joining"]}>{t("connecting")}</p> : null}
      {alone && !joining ? <p className={styles["alone"]}>{t(left ? "room.only" : "room.alone")}</p> : null}
      <div ref={overlays} className={styles["overlays"]}>
        {info.pages > 1 ? (
          <div className={styles["pages"]}>
            <IconButton data-control="page" name={t("room.previous")} icon={<PreviousIcon />} isDisabled={info.page === 0} onPress={() => stage.current?.turn(info.page - 1)} />
            <span>{t("room.page", { page: info.page + 1, pages: info.pages })}</span>
            <IconButton data-control="page" name={t("room.next")} icon={<NextIcon />} isDisabled={info.page === info.pages - 1} onPress={() => stage.current?.turn(info.page + 1)} />
          </div>
        ) : null}
        {children}
      </div>
      {menuFor === null ? null : <TileMenu participant={menuFor} anchor={menuAnchor} onClose={closeMenu} />}
    </>
  );
}

/** The menu, and after it the question that its choice may ask: only then is it over. */
function TileMenu({ participant, anchor, onClose }: { participant: string; anchor: React.RefObject<HTMLElement | null>; onClose(): void }) {
  const [open, setOpen] = useState(true);
  const { name, entries, dialog } = usePersonMenu(participant, onClose);
  const here = useCell(useSession().meeting.roster).has(participant);
  const over = !here || (!open && dialog === null);
  useEffect(() => {
    if (over) onClose();
  }, [over, onClose]);
  if (!here) return null; // whoever has left has no menu, and nobody can be asked about them
  if (dialog !== null) return dialog;
  return open ? <MenuAt label={t("tile.options", { name })} anchor={anchor} entries={entries} onClose={() => setOpen(false)} /> : null;
}
