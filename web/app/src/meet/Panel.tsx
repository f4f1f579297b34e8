// The frame of a panel beside the stage: it takes the focus when it opens and gives it back.

import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { IconButton } from "../ui/Button";
import { CloseIcon } from "../ui/Icon";
import styles from "./Panel.module.css";
import { useSession } from "./session";

interface PanelProps {
  /** The region's name. */
  name: string;
  heading: string;
  close: string;
  /** The heading gets the focus; a panel that has a better place for it says so. */
  focusHeading?: boolean;
  children: ReactNode;
}

export function Panel({ name, heading, close, focusHeading = true, children }: PanelProps) {
  const { panel } = useSession();
  const ref = useRef<HTMLHeadingElement>(null);
  const id = useId();
  const [before] = useState(() => document.activeElement); // before anything in here takes the focus
  useEffect(() => {
    if (focusHeading) ref.current?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, [before, focusHeading]);
  return (
    <section
      aria-label={name}
      data-region="panel"
      className={styles["panel"]}
      onKeyDown={(event) => { if (event.key === "Escape" && !event.defaultPrevented) panel.set(null); }}
    >
      <div className={styles["head"]}>
        <h2 id={id} ref={ref} tabIndex={-1} data-focus-home className={styles["heading"]}>{heading}</h2>
        <IconButton name={close} icon={<CloseIcon />} onPress={() => panel.set(null)} />
      </div>
      {children}
    </section>
  );
}
