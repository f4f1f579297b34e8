// A frame round the own picture, with words while there is none.

import { type ReactNode, useEffect, useRef } from "react";
import { showOwn } from "../media/preview";
import { useSession } from "./session";
import styles from "./OwnPicture.module.css";

export function OwnPicture({ className, children }: { className?: string | undefined; children?: ReactNode }) {
  const { meeting } = useSession();
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => (ref.current ? showOwn(ref.current, meeting) : undefined), [meeting]);
  return <div ref={ref} className={`${styles["own"]} ${className ?? ""}`}>{children}</div>;
}
