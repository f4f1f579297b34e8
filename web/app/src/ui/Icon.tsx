// The icons of the product, by what they mean here. Crossed out means off.

export {
  Check as CheckIcon, ChevronDown as OpenIcon, ChevronLeft as PreviousIcon, ChevronRight as NextIcon,
  Ellipsis as MoreIcon, EllipsisVertical as RowMenuIcon, Hand as HandIcon, Lock as LockIcon, MessageSquare as ChatIcon,
  Mic as MicIcon, MicOff as MicOffIcon, MonitorUp as ShareIcon, MonitorX as ShareOffIcon, PhoneOff as LeaveIcon,
  BadgeCheck as VerifiedIcon, Users as PeopleIcon, Video as CameraIcon, VideoOff as CameraOffIcon, X as CloseIcon,
} from "lucide-react";
